"""The index of COCO-LT that the repository of SimCal contains, a pickle."""
import pickle
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

# Keys of an entry; the first is misspelt in the file.
_COUNT_KEY, _IMAGES_KEY = 'isntance_count', 'img_id'


class IndexEntry(NamedTuple):
    """An entry of the index, about one class.

    Attributes:
        instance_count: number of annotations.
        image_ids: ids of the images with the class, each once.
    """

    instance_count: int
    image_ids: list[int]


class _PlainUnpickler(pickle.Unpickler):
    """Reads containers, numbers and strings; these need no name from any module."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f'it asks for {module}.{name}')


def read_simcal_index(path: str | PathLike, class_names: Sequence[str]) -> dict[str, IndexEntry]:
    """Read ``class_to_imageid_and_inscount_coco_sampled.pt`` without executing code from it.

    Args:
        path: of the pickle: a dict with the keys 1 to C, labels that start at 1. Each value is a
            dict with the number of annotations ('isntance_count') and the images ('img_id').
        class_names: C names in label order.

    Returns:
        The entry of each class.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a pickle of that form, or contains anything but containers, numbers
            and strings.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'read_simcal_index(path=) expects the index of SimCal, got '
                                f'{path}, which does not exist.')
    try:
        with path.open('rb') as file:
            index = _PlainUnpickler(file).load()
    except Exception as error:  # a damaged pickle can raise anything
        raise ValueError('read_simcal_index(path=) expects a pickle of plain containers, numbers '
                         f'and strings, got {path}: {error}. No code from it was executed.'
                         ) from error
    labels = range(1, len(class_names) + 1)
    if not isinstance(index, dict) or set(index) != set(labels):
        raise ValueError(f'read_simcal_index(path=) expects a dict of the labels 1 to '
                         f'{len(class_names)}, got another {type(index).__name__} in {path}.')
    return {name: _entry(index[label], label, path)
            for label, name in zip(labels, class_names, strict=True)}


def _entry(value: Any, label: int, path: Path) -> IndexEntry:
    value = value if isinstance(value, dict) else {}
    count, image_ids = value.get(_COUNT_KEY), value.get(_IMAGES_KEY)
    if (type(count) is not int or type(image_ids) is not list
            or any(type(image_id) is not int for image_id in image_ids)
            or not len(set(image_ids)) == len(image_ids) <= count):
        raise ValueError(f'read_simcal_index(path=) expects {_IMAGES_KEY!r} with different image '
                         f'ids, and {_COUNT_KEY!r}, not below their number, got something else '
                         f'for label {label} in {path}.')
    return IndexEntry(count, image_ids)
