"""Annotation files in a part of the memory, and the writing of them."""
import json
from array import array
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

from bacl.annotations import read_annotations
from bacl.annotations.cycle_collection import no_cycle_collection
from bacl.compat.atomic_files import write_atomically

_RECORDS_PER_WRITE = 1000


def read_packed(ann_file: str | PathLike) -> Any:
    """Read a JSON file of annotations; polygons become ``array('d', ...)``.

    As lists the numbers of LVIS's polygons take 5 GB.

    Args:
        ann_file: path of the file.

    Returns:
        Its content, unchecked.

    Raises:
        FileNotFoundError: if there is no such file.
        OSError: if it cannot be read.
        ValueError: if it is empty, not UTF-8 or not JSON.
    """
    return read_annotations(ann_file, object_hook=_with_packed_polygons)


def _with_packed_polygons(record: dict) -> dict:
    polygons = record.get('segmentation')
    if type(polygons) is list and polygons and set(map(type, polygons)) == {list}:
        try:
            record['segmentation'] = [array('d', polygon) for polygon in polygons]
        except (TypeError, OverflowError):  # of something else than numbers, which the audit names
            pass
    return record


def write_packed(path: Path, data: dict) -> None:
    """Write annotations as JSON, a record a line, without having the text as a whole.

    Args:
        path: of the file; it is there as a whole or not at all.
        data: its content, in which polygons may be packed.
    """
    with no_cycle_collection():
        write_atomically(path, _lines(data))


def _lines(data: dict) -> Iterator[bytes]:
    start = '{'
    for key, value in data.items():
        yield f'{start}{json.dumps(key)}: '.encode()
        start = ',\n'
        if not isinstance(value, list):
            yield _dumps(value).encode()
            continue
        yield b'['
        for position in range(0, len(value), _RECORDS_PER_WRITE):
            records = value[position:position + _RECORDS_PER_WRITE]
            separator = ',\n' if position else '\n'
            yield (separator + ',\n'.join(map(_dumps, records))).encode()
        yield b']'
    yield b'}\n'


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(',', ':'), default=_unpacked)


def _unpacked(value: Any) -> list:
    if isinstance(value, array):
        return value.tolist()
    raise TypeError(f'{type(value).__name__} is no JSON.')
