"""Annotation files in a part of the memory, and the writing of them."""
import json
import re
import sys
from array import array
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any, TextIO

from bacl.annotations import read_annotations
from bacl.annotations.cycle_collection import no_cycle_collection
from bacl.compat.atomic_files import write_atomically

_RECORDS_PER_WRITE = 1000
_PIECE = 2**22  # characters that are read at once
_SPACE = re.compile(r'[ \t\n\r]*')


def read_packed(ann_file: str | PathLike) -> Any:
    """Read a JSON file of annotations, record by record; polygons become ``array('d', ...)``.

    The text as a whole takes as much memory as the file is large, or four times that if it has a
    letter beyond those of two bytes; the numbers of LVIS's polygons, as lists, 5 GB.

    Args:
        ann_file: path of the file.

    Returns:
        Its content, unchecked.

    Raises:
        FileNotFoundError: if there is no such file.
        OSError: if it cannot be read.
        ValueError: if it is empty, not UTF-8 or not JSON.
    """
    try:
        with open(ann_file, encoding='utf-8-sig') as file, no_cycle_collection():
            return _JSONStream(file, _packed).value()
    except (OSError, ValueError, RecursionError):  # the other reader says what is wrong
        return read_annotations(ann_file, object_hook=_packed)


class _JSONStream:
    """Values of JSON from a file; objects and lists of the upper two levels piece by piece."""

    def __init__(self, file: TextIO, object_hook: Callable[[dict], Any]) -> None:
        self._file = file
        self._text = ''
        self._place = 0
        self._decode = json.JSONDecoder(object_hook=object_hook).raw_decode

    def value(self) -> Any:
        """The only value of the file.

        Raises:
            ValueError: if it is not JSON.
        """
        if self._next() == '{':
            found = dict(self._members())
        else:
            found = self._whole()
        if self._next():
            raise ValueError('There is more than one value.')
        return found

    def _members(self) -> Iterator[tuple[str, Any]]:
        for _ in self._parts('{', '}'):
            if self._next() != '"':
                raise ValueError('A name is expected.')
            name = self._whole()
            self._expect(':')
            yield name, (list(self._items()) if self._next() == '[' else self._whole())

    def _items(self) -> Iterator[Any]:
        for _ in self._parts('[', ']'):
            yield self._whole()

    def _parts(self, start: str, end: str) -> Iterator[None]:
        """Stop at every part between commas, for the caller to read it."""
        self._expect(start)
        if self._next() != end:
            yield
            while self._next() == ',':
                self._place += 1
                yield
        self._expect(end)

    def _next(self) -> str:
        """The next character that is no space; '' at the end."""
        while True:
            self._place = _SPACE.match(self._text, self._place).end()
            if self._place < len(self._text):
                return self._text[self._place]
            if not self._read():
                return ''

    def _expect(self, character: str) -> None:
        if self._next() != character:
            raise ValueError(f'{character!r} is expected.')
        self._place += 1

    def _whole(self) -> Any:
        """A value whose text is in the memory as a whole."""
        self._next()
        while True:
            try:
                found, end = self._decode(self._text, self._place)
            except ValueError:
                if not self._read():
                    raise
                continue
            # A number may go on in what is not read yet.
            if end < len(self._text) or not self._read():
                self._place = end
                return found

    def _read(self) -> bool:
        """Read on; True if there was more. Ever longer pieces, while no value ends."""
        piece = self._file.read(max(_PIECE, len(self._text) - self._place))
        self._text = self._text[self._place:] + piece
        self._place = 0
        return bool(piece)


def _packed(record: dict) -> dict:
    polygons = record.get('segmentation')
    if type(polygons) is list and polygons and set(map(type, polygons)) == {list}:
        try:
            record['segmentation'] = [array('d', polygon) for polygon in polygons]
        except (TypeError, OverflowError):  # of something else than numbers, which the audit names
            pass
    # The decoder makes the names of fields anew for every record.
    return {sys.intern(name): value for name, value in record.items()}


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
