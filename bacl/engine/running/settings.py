"""Settings of a config that are varied: how they are written, and what is wrong with them."""
import copy
import difflib
import inspect
import itertools
import shlex
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Number
from typing import Any

from mmdet import registry as mmdet_registry
from mmengine.config import Config, DictAction
from mmengine.optim import OptimWrapper
from mmengine.registry import Registry
from mmengine.runner import Runner

from ..checking.config_check import (
    READ_BY_HOST_OF_OPTIMIZER,
    arguments,
    check_config,
    own_components,
)
from .config_types import resolve_type

Settings = dict[str, Any]  # values by dotted keys, as of mmengine's --cfg-options

OF_ONE_RUN = {'cfg', 'default_scope', 'experiment_name', 'launcher', 'load_from',
              'randomness.seed', 'resume', 'work_dir'}
# Components that heads look for in a dictionary that is none itself.
_MAY_HAVE = {'model.test_cfg.rcnn': {'calibrator'}}
# What is at the top of a config and is read when it runs.
RUN_SETTINGS = arguments(Runner) - OF_ONE_RUN


def parse_settings(texts: Iterable[str], argument: str) -> Settings:
    """Settings of texts such as ``'optim_wrapper.optimizer.lr=0.01'``.

    Values are written as for mmengine's ``--cfg-options``: ``0.01``, ``True``, ``None``, ``word``,
    ``[1,2]``, ``(1,2)``; ``1,2`` is a list, too.

    Args:
        texts: each a key and a value.
        argument: of the command line, for messages.

    Raises:
        ValueError: if one is something else, or if a key is there twice.
    """
    return _parse(texts, argument, '{}')


def grid(axes: Iterable[str]) -> list[Settings]:
    """All combinations of values, the last key varied first.

    Args:
        axes: each ``'KEY=V1,V2'``; values as of :func:`parse_settings`, so that a list is
            ``'KEY=[1,2],[3,4]'``.

    Raises:
        ValueError: if one is something else, or if a key is there twice.
    """
    # In brackets all is one list: DictAction would take `[1,2],[3,4]` for the inside of one.
    values = _parse(axes, '--set', '[{}]')
    return [dict(zip(values, chosen, strict=True))
            for chosen in itertools.product(*values.values())]


def _parse(texts: Iterable[str], argument: str, form: str) -> Settings:
    parsed = Namespace(settings={})
    for text in texts:
        key, _, value = text.partition('=')
        if not (key and value) or any(value.count(left) != value.count(right)
                                      for left, right in ('[]', '()')):
            raise ValueError(f'{argument} expects KEY=VALUE, got {text!r}.')
        if key in parsed.settings:
            raise ValueError(f'{argument} expects every key once, got {key!r} twice.')
        DictAction('', 'settings')(None, parsed, [f'{key}={form.format(value)}'])
    return parsed.settings


def combine(listed: Sequence[str], axes: Iterable[str]) -> list[Settings]:
    """Every listed setting with every combination of the grid.

    Args:
        listed: each ``'KEY=VALUE KEY=VALUE'``, or ``''`` for the config as it is; none are one
            that is empty.
        axes: of :func:`grid`.

    Raises:
        ValueError: as :func:`grid`, or if a key is in both.
    """
    varied = grid(axes)
    rows = [parse_settings(shlex.split(text), '--list') for text in listed or ['']]
    for key in varied[0]:
        if any(key in row for row in rows):
            raise ValueError(f'A key is in --list or in --set, got {key!r} in both.')
    return [{**row, **chosen} for row in rows for chosen in varied]


def apply_settings(cfg: Config, settings: Settings) -> None:
    """Change a config, once its keys and the types of its values are known to be right.

    A key is right if the config has it, or if it is an argument of the component that it belongs
    to. Settings in what the config lacks are known only with their type. A value has the
    type of the one it replaces; what arguments of this package's components may be is known more
    precisely.

    Args:
        cfg: changed in place.
        settings: to be applied.

    Raises:
        ValueError: naming every wrong key, the nearest right one, and every wrong value.
    """
    config, scope = cfg.to_dict(), cfg.get('default_scope')
    problems = list(filter(None, (_problem(config, settings, key, scope) for key in settings)))
    problems = problems or list(_wrong_types(config, settings))
    if problems:
        raise ValueError('\n  '.join([f'Settings of {cfg.filename} are refused:', *problems]))
    # A copy: merging takes `_delete_` out, and the same settings may be those of several runs.
    cfg.merge_from_dict(copy.deepcopy(settings))
    check_config(cfg)


def _child(node: Any, part: str) -> Any:
    """The part of a dictionary or of a list; raises LookupError if it has none."""
    if isinstance(node, list | tuple) and part.isdecimal():
        return node[int(part)]
    return (node if isinstance(node, Mapping) else {})[part]


def _problem(config: dict, settings: Settings, key: str, scope: str | None) -> str | None:
    """What is wrong with a key, in words; None if nothing."""
    if key in OF_ONE_RUN:
        return f'{key!r} is what every run has for itself.'
    unknown = f'{key!r} is no setting of a run; the nearest is '
    parts = key.split('.')
    # Other names at the top are variables of the file: nobody reads them any more.
    if parts[0] not in RUN_SETTINGS:
        return f'{unknown}{_nearest(config, key, scope)!r}.'
    node = config.get(parts[0], {})
    for depth, part in enumerate(parts[1:], start=1):
        try:
            node = _child(node, part)
        except LookupError:
            kind = settings.get('.'.join([*parts[:depth], 'type']))  # that it will have
            changed = {**node, 'type': kind} if kind and isinstance(node, Mapping) else node
            may_have = _MAY_HAVE.get('.'.join(parts[:depth]), set())
            if part not in _arguments_of(changed, scope) | may_have:
                return f'{unknown}{_nearest(config, key, scope)!r}.'
            new = '.'.join(parts[:depth + 1])
            if new != key and f'{new}.type' not in settings:  # what may be in it is not known
                return f'{key!r} is in {new!r}, which the config lacks; write it there first.'
            node = {}
    return None


def _arguments_of(config: Any, scope: str | None) -> frozenset[str]:
    """Arguments that a dictionary may have; none that is known, if it is no component."""
    if not isinstance(config, Mapping) or 'type' not in config:
        return frozenset()
    found = (resolve_type(config, registry, scope) for registry in vars(mmdet_registry).values()
             if isinstance(registry, Registry))
    component = next(filter(callable, found), None)
    of_host = READ_BY_HOST_OF_OPTIMIZER if inspect.isclass(component) and \
        issubclass(component, OptimWrapper) else ()
    return frozenset({'type', *of_host}) | (arguments(component) if component else frozenset())


def _nearest(config: dict, key: str, scope: str | None) -> str:
    """The most similar known key; of those in the config with the same end, if it is one alone."""
    roots = {name: config[name] for name in RUN_SETTINGS & config.keys()}
    known = {name: is_there for name, is_there in _keys(roots, '', scope)
             if name not in OF_ONE_RUN}
    parent, _, end = key.rpartition('.')
    same_end = [] if parent in known else [
        name for name, is_there in known.items() if is_there and name.rpartition('.')[2] == end]
    return difflib.get_close_matches(key, same_end or known, 1, cutoff=0)[0]


def _keys(node: Any, prefix: str, scope: str | None) -> Iterator[tuple[str, bool]]:
    """Known keys, and whether the config has them."""
    items = dict(node) if isinstance(node, Mapping) else \
        dict(enumerate(node)) if isinstance(node, list | tuple) else {}
    for name in _arguments_of(node, scope) - items.keys():
        yield f'{prefix}{name}', False
    for name, value in items.items():
        yield f'{prefix}{name}', True
        yield from _keys(value, f'{prefix}{name}.', scope)


def _wrong_types(config: dict, settings: Settings) -> Iterator[str]:
    for key, value in settings.items():
        parent, old = None, config
        for part in key.split('.'):
            try:
                parent, old = old, _child(old, part)
            except LookupError:  # new in the config
                old = None
        is_own = isinstance(parent, Mapping) and \
            str(parent.get('type')).rpartition('.')[2] in own_components()
        expected, got = _kind(old), _kind(value)
        if not is_own and None not in (expected, got) and expected != got:
            example = '' if isinstance(old, Mapping) else f', as {old!r}'
            yield f'{key} expects {expected}{example}, got {value!r}.'


def _kind(value: Any) -> str | None:
    """The kind of a value in words; None for None, which may stand in for anything."""
    kinds = {bool: 'True or False', Number: 'a number', str: 'a word', (list, tuple): 'a list',
             Mapping: 'settings of its own (KEY.NAME=VALUE)'}
    return next((words for kind, words in kinds.items() if isinstance(value, kind)), None)
