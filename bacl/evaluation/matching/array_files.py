"""Named arrays as files in a folder: how processes hand each other data without pickling."""
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .encoded_masks import EncodedMasks

_MASK_FIELDS = ('counts', 'offsets', 'sizes')


def save_arrays(folder: Path, arrays: Mapping[str, np.ndarray | EncodedMasks]) -> None:
    """Write arrays to ``{name}.npy``, and masks to three such files.

    Args:
        folder: created if missing.
        arrays: per name, an array of numbers or masks. Names have no dot.
    """
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        if isinstance(array, EncodedMasks):
            for field in _MASK_FIELDS:
                np.save(folder / f'{name}.{field}.npy', getattr(array, field), allow_pickle=False)
        else:
            np.save(folder / f'{name}.npy', array, allow_pickle=False)


def load_arrays(folder: Path) -> dict[str, np.ndarray | EncodedMasks]:
    """Read what :func:`save_arrays` wrote.

    Args:
        folder: must outlive the arrays, which stay in the files: what is not used takes no memory,
            and processes that use the same share it.

    Returns:
        Read-only arrays, per name.
    """
    names = {path.name.split('.')[0] for path in folder.glob('*.npy')}
    return {name: _load(folder, name) for name in sorted(names)}


def _load(folder: Path, name: str) -> np.ndarray | EncodedMasks:
    if (folder / f'{name}.npy').exists():
        return _mapped(folder / f'{name}.npy')
    return EncodedMasks(*(_mapped(folder / f'{name}.{field}.npy') for field in _MASK_FIELDS))


def _mapped(path: Path) -> np.ndarray:
    # A plain array over the file: slices of NumPy's class for it take ten times as long.
    return np.asarray(np.load(path, mmap_mode='r', allow_pickle=False))
