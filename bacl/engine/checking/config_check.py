"""Settings that fail late or in silence, found before anything is built.

A misspelt argument of a component that passes ``**kwargs`` on ends in an error of another class,
or, where somebody swallows it, in none. Here every dictionary of a config whose ``type`` is one of
our components is compared with the signatures along that class's bases. Ranges are checked by the
components when they are built.
"""
import difflib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from bacl.models import RENAMED
from mmdet import registry as mmdet_registry
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import Registry

from ..running.config_types import resolve_type

PACKAGE = __name__.split('.')[0]
# Read by mmengine before the component gets the rest: the registry, and the list of hooks.
READ_BY_HOST = ('type', '_scope_', 'priority')
READ_BY_HOST_OF_OPTIMIZER = ('constructor', 'paramwise_cfg')
# As alike as FCBL and FBCL; an unknown type that is less like one of ours may be somebody else's.
TYPE_CUTOFF = 0.75


def check_config(cfg: Config) -> None:
    """Refuse a config that gives one of our components an argument it does not take.

    And one whose ``activation_checkpointing`` would keep the backbone from learning.

    Args:
        cfg: config of a run, with its command line applied.

    Raises:
        ValueError: naming, for each such argument, where it stands, the component, the key, and
            the nearest valid key or the expected type; and for a ``type`` that is registered
            nowhere but resembles one of ours, that one.
    """
    scope = cfg.get('default_scope') or 'mmdet'
    problems = [f'  {problem}' for path, component in _dictionaries(cfg.to_dict())
                for problem in _problems(path, component, scope)]
    problems += [f'  {problem}' for problem in _checkpointing_problems(cfg)]
    if problems:
        raise ValueError('\n'.join([f'{cfg.filename or "The config"} is refused:', *problems]))


def _checkpointing_problems(cfg: Config) -> Iterator[str]:
    """mmengine 0.10 checkpoints in torch's reentrant mode: no gradient unless the input has one."""
    modules = cfg.get('activation_checkpointing') or []
    for module in [modules] if isinstance(modules, str) else modules:
        if module.split('.')[0] == 'backbone':
            yield (f'activation_checkpointing: {module!r} would not learn, because images have no '
                   'gradient. Use with_cp=True of a backbone that has it, such as ResNet.')


@cache
def arguments(component: Callable) -> frozenset[str]:
    """Names of the arguments of a function, or of a class and the bases it passes the rest to.

    Args:
        component: function or class.
    """
    return frozenset().union(*(names for _, names in _signatures(component)))


def _signatures(component: Callable) -> Iterator[tuple[Callable, set[str]]]:
    """Functions that take the arguments of a component, and the names that each takes."""
    functions = [component]
    if inspect.isclass(component):
        functions = [vars(base)['__init__'] for base in inspect.getmro(component)
                     if '__init__' in vars(base)]
    for function in functions:
        parameters = inspect.signature(function).parameters.values()
        yield function, {p.name for p in parameters if p.name != 'self'
                         and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            return


@cache
def own_components() -> dict[str, type]:
    """The components that this package registers, by name."""
    return {name: registry.module_dict[name] for name, registry in _own_registries().items()}


@cache
def _own_registries() -> dict[str, Registry]:
    """Where each of them is registered."""
    return {name: registry for registry in _registries()
            for name, component in registry.module_dict.items() if _is_own(component)}


def _is_own(component: Callable) -> bool:
    module = getattr(component, '__module__', None)  # object.__init__ has none
    return module is not None and module.split('.')[0] == PACKAGE


def _registries() -> list[Registry]:
    return [value for value in vars(mmdet_registry).values() if isinstance(value, Registry)]


@cache
def _own_types(component: type) -> dict[str, Any]:
    """Types of the arguments that are declared in this package, by name."""
    return {name: hint for function, names in _signatures(component) if _is_own(function)
            for name, hint in get_type_hints(function).items() if name in names}


def _dictionaries(value: Any, path: str = '') -> Iterator[tuple[str, dict]]:
    """All dictionaries with a ``type`` in a config, with the path that leads there."""
    if isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from _dictionaries(item, f'{path}[{position}]')
    elif isinstance(value, Mapping):
        if 'type' in value:
            yield path, value
        for key, inner in value.items():
            yield from _dictionaries(inner, f'{path}.{key}'.lstrip('.'))


def _problems(path: str, config: dict, scope: str) -> Iterator[str]:
    kind = config['type']
    if not isinstance(kind, str):
        component = kind
    else:
        name = kind.rpartition('.')[2]
        # Names that are not ours are not looked up: mmengine would import modules called so.
        component = resolve_type(config, _own_registries()[name], scope) \
            if name in own_components() else None
        if component is None:
            yield from _resembling_type(path, config, scope)
    if inspect.isclass(component) and component.__name__ in RENAMED and _is_own(component):
        yield (f'{path}.type: {component.__name__!r} is now called '
               f'{RENAMED[component.__name__]!r}.')
    elif inspect.isclass(component) and _is_own(component):
        yield from _wrong_arguments(path, component.__name__, component, config)


def _resembling_type(path: str, config: dict, scope: str) -> Iterator[str]:
    kind = config['type']
    place, _, name = kind.rpartition('.')
    if place.split('.')[0] not in ('', 'mmdet', PACKAGE):
        return
    nearest = difflib.get_close_matches(name, own_components().keys() - RENAMED, 1, TYPE_CUTOFF)
    if nearest and all(resolve_type(config, registry, scope) is None for registry in _registries()):
        nearest = nearest[0] if scope == 'mmdet' else f'mmdet.{nearest[0]}'
        yield f'{path}.type: no component is called {kind!r}; the nearest is {nearest!r}.'


def _wrong_arguments(path: str, name: str, component: type, config: dict) -> Iterator[str]:
    valid, types = arguments(component), _own_types(component)
    for key, value in config.items():
        if key in READ_BY_HOST or (
                issubclass(component, OptimWrapper) and key in READ_BY_HOST_OF_OPTIMIZER):
            continue
        if key not in valid:
            nearest = difflib.get_close_matches(str(key), valid, 1, cutoff=0)
            cure = f'the nearest is {nearest[0]!r}' if nearest else 'it takes none'
            yield f'{path}: {name} has no argument {key!r}; {cure}.'
        elif key in types and not has_type(value, types[key]):
            yield f'{path}: {name}({key}=) expects {_in_words(types[key])}, got {value!r}.'


def has_type(value: Any, hint: Any) -> bool:
    """True if a value of a config is of a type as signatures declare it.

    An int is a float; a bool is no number; a float is finite; a str is no sequence. What cannot be
    said of a hint without more knowledge is True.

    Args:
        value: as in the config.
        hint: as :func:`typing.get_type_hints` returns it.
    """
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(has_type(value, option) for option in get_args(hint))
    if origin is Sequence:
        return isinstance(value, list | tuple) and all(
            has_type(item, get_args(hint)[0]) for item in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            has_type(item, get_args(hint)[1]) for item in value.values())
    if hint in (int, float):
        is_number = isinstance(value, (int, hint)) and not isinstance(value, bool)
        return is_number and math.isfinite(value)
    return isinstance(value, hint) if isinstance(hint, type) else True


def _in_words(hint: Any) -> str:
    if get_origin(hint) in (Union, UnionType):
        return ' or '.join(_in_words(option) for option in get_args(hint))
    if get_origin(hint) is Sequence:
        return f'a list of {_in_words(get_args(hint)[0])}'
    if get_origin(hint) is Mapping:
        return f'a dict of {_in_words(get_args(hint)[1])}'
    return {type(None): 'None', float: 'a finite number', int: 'an int'}.get(
        hint, getattr(hint, '__name__', str(hint)))
