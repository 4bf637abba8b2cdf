"""Columns of records as arrays: of right length, type and finiteness, or refused by name.

The functions mark what is not right, for a summary of all that is wrong; :class:`Records` names the
first in an error. N: number of records.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from numbers import Integral, Real
from typing import Any

import numpy as np

_INT64 = np.iinfo(np.int64)


def is_integer(value: Any) -> bool:
    """Tell whether a value is a whole number of 64 bits. 1.0 and True are none."""
    return (isinstance(value, Integral) and not isinstance(value, bool)
            and _INT64.min <= value <= _INT64.max)


def integers(values: Sequence) -> tuple[np.ndarray, np.ndarray]:
    """Convert whole numbers; see :func:`is_integer`.

    Returns:
        (N,), int64, 0 where a value is something else; (N,), bool, whether it is.
    """
    if set(map(type, values)) <= {int}:  # much faster than a look at each
        try:
            return np.array(values, dtype=np.int64), np.zeros(len(values), dtype=bool)
        except OverflowError:
            pass
    is_bad = np.array([not is_integer(value) for value in values], dtype=bool)
    return np.array([0 if bad else int(value) for value, bad in zip(values, is_bad, strict=True)],
                    dtype=np.int64), is_bad


def numbers(values: Sequence) -> np.ndarray:
    """Convert finite numbers: (N,), float64; NaN where a value is something else, as True is."""
    found = None
    if set(map(type, values)) <= {int, float}:
        try:
            found = np.array(values, dtype=np.float64)
        except OverflowError:
            pass
    if found is None:
        found = np.array([_number(value) for value in values], dtype=np.float64)
    found[~np.isfinite(found)] = np.nan
    return found


def number_rows(rows: Sequence, length: int) -> np.ndarray:
    """Convert rows of finite numbers.

    Returns:
        (N, length), float64; a row that is something else, or of another length, is all NaN.
    """
    if not (set(map(type, rows)) <= {list, tuple} and set(map(len, rows)) <= {length}):
        rows = [row if _is_row(row) and len(row) == length else [np.nan] * length for row in rows]
    found = numbers(list(chain.from_iterable(rows))).reshape(-1, length)
    found[np.isnan(found).any(1)] = np.nan
    return found


def flags(values: Sequence) -> tuple[np.ndarray, np.ndarray]:
    """Convert 0 and 1, or False and True.

    Returns:
        (N,), bool, False where a value is something else; (N,), bool, whether it is.
    """
    found = integers([int(value) if isinstance(value, bool | np.bool_) else value
                      for value in values])
    is_bad = found[1] | ~np.isin(found[0], (0, 1))
    return (found[0] == 1) & ~is_bad, is_bad


def integer_lists(values: Sequence) -> np.ndarray:
    """Mark what is no list of whole numbers: (N,), bool."""
    if set(map(type, values)) <= {list} and set(
            map(type, chain.from_iterable(values))) <= {int}:
        return np.zeros(len(values), dtype=bool)
    return np.array([not (isinstance(value, list | tuple) and all(map(is_integer, value)))
                     for value in values], dtype=bool)


@dataclass(frozen=True)
class Records:
    """N records of a file and their columns; an error names the first that has something else.

    Args:
        source: what the records are from, for the message, as in 'Annotation file a.json'.
        section: the list in it, as in 'annotations'.
        records: N dicts.
        start: number of records of the section before these.
    """

    source: str
    section: str
    records: Sequence[dict]
    start: int = 0

    def column(self, field: str, cure: str = '') -> list:
        """The values of a field; raises a ``ValueError``, ending with a cure, if one lacks it."""
        try:
            return [record[field] for record in self.records]
        except (KeyError, TypeError):
            position = next(i for i, record in enumerate(self.records)
                            if not isinstance(record, dict) or field not in record)
            raise self.error(position, f'has no {field!r}{cure}') from None

    def integers(self, field: str) -> np.ndarray:
        """(N,), int64, of ids for instance; raises a ``ValueError`` if one is none."""
        found, is_bad = integers(self.column(field))
        self.check(is_bad, field, 'a whole number is expected')
        return found

    def numbers(self, field: str) -> np.ndarray:
        """(N,), float64, finite; raises a ``ValueError`` if one is not."""
        found = numbers(self.column(field))
        self.check(np.isnan(found), field, 'a finite number is expected')
        return found

    def boxes(self, field: str = 'bbox') -> np.ndarray:
        """(N, 4), float64, finite, x, y, width, height; raises a ``ValueError`` if one is not."""
        found = number_rows(self.column(field), 4)
        self.check(np.isnan(found).any(1), field,
                   'four finite numbers are expected: x, y, width, height')
        return found

    def flags(self, field: str) -> np.ndarray:
        """(N,), bool, of 0 and 1; 0 if a record lacks the field. ``ValueError`` if one is none."""
        found, is_bad = flags([record.get(field, 0) for record in self.records])
        self.check(is_bad, field, '0 or 1 is expected')
        return found

    def check(self, is_bad: np.ndarray, field: str, expected: str) -> None:
        """Raise a ``ValueError`` that names the first record that is marked.

        Args:
            is_bad: (N,), bool.
            field: in which it is wrong.
            expected: what is expected instead, as a sentence without its full stop.
        """
        for position in np.flatnonzero(is_bad)[:1]:
            value = shortened(self.records[position][field])
            raise self.error(position, f'has the {field!r} {value}: {expected}')

    def error(self, position: int, reason: str) -> ValueError:
        """The error for a record: it is called by its id, or without one by its position."""
        record = self.records[position]
        name = f'id {record["id"]}' if isinstance(record, dict) and 'id' in record else \
            f'number {self.start + position}'
        return ValueError(f'{self.source}: {name} of its {self.section!r} {reason}.')


def shortened(value: Any, length: int = 100) -> str:
    """The ``repr`` of a value, cut where it is too long for a message."""
    text = repr(value)
    return text if len(text) <= length else f'{text[:length]}...'


def _is_row(value: Any) -> bool:
    return isinstance(value, list | tuple) or isinstance(value, np.ndarray) and value.ndim == 1


def _number(value: Any) -> float:
    try:
        return float(value) if isinstance(value, Real) and not isinstance(value, bool) else np.nan
    except OverflowError:
        return np.nan
