"""COCO result files, read and written bit by bit: those of LVIS v1 val fill half a gigabyte."""
import json
import re
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import TextIO

from bacl.annotations.cycle_collection import no_cycle_collection
from bacl.annotations.files import check_encoding

_BLOCK = 1 << 20  # characters
_TRIES = 3
_BETWEEN = re.compile(r'\}[ \t\n\r]*,[ \t\n\r]*\{')


def iterate_records(path: str | PathLike) -> Iterator[dict]:
    """Read COCO result dicts one after the other from their JSON file.

    Args:
        path: path of the file: UTF-8, with or without byte order mark, as annotation files.

    Yields:
        The result dicts, in the order of the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not UTF-8 or does not hold a JSON list of dicts.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'iterate_records(path=) expects an existing file, got {path}.')
    with path.open('rb') as file:
        check_encoding(file.read(4), f'Result file {path}')
    with path.open(encoding='utf-8-sig') as file:
        try:
            yield from _records(file)
        except UnicodeDecodeError as error:
            raise ValueError(f'Result file {path} is not JSON in UTF-8: {error}. Save it as '
                             'UTF-8.') from None
        except (ValueError, RecursionError) as error:
            raise ValueError(f'iterate_records(path=) expects a JSON list of COCO results, got '
                             f'{error} in {path}.') from error


def write_records(path: str | PathLike, records: Iterable[dict]) -> None:
    """Write COCO result dicts to a JSON file.

    Args:
        path: path of the file; its folder is created if missing.
        records: may be generated.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w', encoding='utf-8') as file:
        file.write('[')
        for index, record in enumerate(records):
            file.write((',\n' if index else '') + json.dumps(record))
        file.write(']')


def _records(file: TextIO) -> Iterator[dict]:
    text = file.read(_BLOCK).lstrip()
    if not text.startswith('['):
        raise ValueError(f'{text[:10]!r} at its start')
    text = text[1:]
    # As large as what is left over, so that a long record, or a fault, is tried few times.
    while block := file.read(max(_BLOCK, len(text))):
        text += block
        for end, start in _boundaries(text):
            try:
                with no_cycle_collection():
                    records = json.loads(f'[{text[:end]}]')
            except json.JSONDecodeError:
                continue
            yield from _checked(records)
            text = text[start:]
            break
    try:
        yield from _checked(json.loads(f'[{text}'))
    except json.JSONDecodeError as error:
        raise ValueError(f'no JSON ({error})') from error


def _boundaries(text: str) -> Iterator[tuple[int, int]]:
    """The last places where a record may end and the next one start.

    Whether they do shows when the text before is read: it is no JSON if the place is inside of a
    record.
    """
    end = len(text)
    for _ in range(_TRIES):
        end = text.rfind('}', 0, end)
        while end >= 0:
            found = _BETWEEN.match(text, end)
            if found:
                yield end + 1, found.end() - 1
                break
            end = text.rfind('}', 0, end)
        else:
            return


def _checked(records: list) -> list[dict]:
    for record in records:
        if not isinstance(record, dict):
            raise ValueError(f'a {type(record).__name__} among them')
    return records
