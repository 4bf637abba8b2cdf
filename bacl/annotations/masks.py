"""Masks of annotation and result files: what is none, and why.

A mask is a list of polygons [x1, y1, x2, y2, ...] in pixels, or a run-length encoding: ``size``
(height, width) and ``counts``, either a list of run lengths or COCO's compressed text. A polygon
may also be an ``array('d', ...)``, which takes a quarter of the memory of a list of floats.
"""
from array import array
from collections.abc import Sequence
from itertools import chain
from math import isfinite
from typing import Any

import numpy as np

from .columns import is_integer, numbers

_BLOCK = 256  # compressed masks decoded at once
_MAX_DIGITS = 7  # of a run; 32 ** 7 pixels are enough


def mask_faults(masks: Sequence, sizes: np.ndarray) -> dict[int, str]:
    """Look for masks that cannot be drawn in their image.

    Args:
        masks: N values of ``segmentation``.
        sizes: (N, 2), height and width of the image of each, in pixels.

    Returns:
        What is wrong, by position, rising.
    """
    faults = {}
    polygons = [i for i, mask in enumerate(masks) if isinstance(mask, list | tuple)]
    if not _are_polygons([masks[i] for i in polygons]):
        faults.update((i, fault) for i in polygons if (fault := _polygon_fault(masks[i])))
    compressed = []
    for i, mask in enumerate(masks):
        if isinstance(mask, list | tuple):
            continue
        fault = _run_length_fault(mask, sizes[i])
        if fault:
            faults[i] = fault
        elif isinstance(mask['counts'], str | bytes):
            compressed.append(i)
    is_bad = broken_counts([masks[i]['counts'] for i in compressed], sizes[compressed])
    faults.update((compressed[i], "'counts' that do not fill the image")
                  for i in np.flatnonzero(is_bad))
    return dict(sorted(faults.items()))


def broken_counts(counts: Sequence[str | bytes], sizes: np.ndarray) -> np.ndarray:
    """Mark texts that are no run lengths of COCO's, or do not add up to the pixels of a mask.

    Args:
        counts: N texts. A run length is a number in base 32, lowest digit first, of characters
            above '0'; 32 is added to every digit that another follows. From the fourth on it is
            the difference to the run before the last, and may be negative.
        sizes: (N, 2), height and width in pixels.

    Returns:
        (N,), bool.
    """
    encoded = [text.encode('utf-8', 'surrogatepass') if isinstance(text, str) else text
               for text in counts]
    pixels = sizes.astype(np.float64).prod(1)
    blocks = [_broken_counts(encoded[start:start + _BLOCK], pixels[start:start + _BLOCK])
              for start in range(0, len(encoded), _BLOCK)]
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=bool)


def _broken_counts(encoded: Sequence[bytes], pixels: np.ndarray) -> np.ndarray:
    """The same for a few masks, whose arrays fit into the cache. R: number of their runs."""
    lengths = np.array([len(text) for text in encoded], dtype=np.int64)
    if not lengths.all():
        is_bad = lengths == 0
        is_bad[~is_bad] = _broken_counts([text for text in encoded if text], pixels[~is_bad])
        return is_bad
    if not len(lengths):
        return np.zeros(0, dtype=bool)
    digits = np.frombuffer(b''.join(encoded), dtype=np.uint8) - np.uint8(48)
    begins = np.cumsum(lengths) - lengths
    is_end = digits < 32  # of a run
    is_bad = (np.maximum.reduceat(digits, begins) > 63) | ~is_end[begins + lengths - 1]
    is_end[begins + lengths - 1] = True  # so that a broken mask does not reach into the next
    ends = np.flatnonzero(is_end)  # (R,)
    starts = np.concatenate([[0], ends[:-1] + 1])
    num_digits = ends - starts + 1
    runs = (digits[starts] & 31).astype(np.int64)
    for place in range(1, min(int(num_digits.max()), _MAX_DIGITS)):
        longer = np.flatnonzero(num_digits > place)
        runs[longer] += (digits[starts[longer] + place] & 31).astype(np.int64) << 5 * place
    runs -= (digits[ends] & 16).astype(np.int64) << (5 * num_digits.clip(max=_MAX_DIGITS) - 4)
    num_runs = np.add.reduceat(is_end, begins, dtype=np.int64)
    first = np.cumsum(num_runs) - num_runs
    is_bad |= np.maximum.reduceat(num_digits, first) > _MAX_DIGITS
    # Runs 1, 3, ... add up, and 2, 4, ...: a table of pairs, whose columns do. Run 0 stands alone.
    num_pairs = num_runs // 2
    first_pair = np.cumsum(num_pairs) - num_pairs
    is_later = np.ones(len(runs), dtype=bool)
    is_later[first] = False
    pairs = np.zeros((num_pairs.sum() + 1, 2), dtype=np.int64)
    place = np.arange(len(runs)) - np.repeat(first - 2 * first_pair + 1, num_runs)
    pairs.reshape(-1)[place[is_later]] = runs[is_later]
    sums = np.concatenate([np.zeros((1, 2), dtype=np.int64), np.cumsum(pairs, axis=0)])
    values = sums[1:-1] - np.repeat(sums[first_pair], num_pairs, axis=0)
    has_pairs = num_pairs > 0
    last = (first_pair + num_pairs - 1)[has_pairs & (num_runs % 2 == 0)]
    values[last, 1] = 0  # there is none
    totals = runs[first]
    is_bad |= totals < 0
    if has_pairs.any():
        rows = first_pair[has_pairs]
        is_bad[has_pairs] |= np.minimum.reduceat(values.min(1), rows) < 0
        totals[has_pairs] += np.add.reduceat(values.sum(1), rows)
    return is_bad | (totals != pixels)


def _are_polygons(masks: Sequence[Sequence]) -> bool:
    """True if all are; one look at all of a million is much faster than one at each."""
    polygons = list(chain.from_iterable(masks))
    types = set(map(type, polygons))
    if not (all(masks) and (types <= {list} or types == {array})):
        return False
    lengths = np.array([len(polygon) for polygon in polygons], dtype=np.int64)
    if (lengths < 6).any() or (lengths % 2).any():
        return False
    return ((types == {array} or set(map(type, chain.from_iterable(polygons))) <= {int, float})
            and all(map(_has_finite_sum, polygons)))


def _has_finite_sum(values: Sequence) -> bool:
    try:
        return isfinite(sum(values))
    except OverflowError:
        return False


def _polygon_fault(mask: Sequence) -> str | None:
    if not len(mask):
        return 'no polygon'
    for polygon in mask:
        if not isinstance(polygon, list | tuple | array):
            return f'a {type(polygon).__name__} where a polygon [x1, y1, x2, y2, ...] is expected'
        if len(polygon) < 6 or len(polygon) % 2:
            return f'a polygon of {len(polygon)} numbers; an even number of at least 6 is expected'
        if np.isnan(numbers(polygon)).any():
            return 'a polygon with something else than finite numbers'
    return None


def _run_length_fault(mask: Any, size: np.ndarray) -> str | None:
    if not isinstance(mask, dict) or not {'size', 'counts'} <= mask.keys():
        return f'a {type(mask).__name__} that is neither polygons nor a run-length encoding'
    found, counts = mask['size'], mask['counts']
    if not (_are_integers(found) and list(found) == size.tolist()):
        return f'the size {found!r} in an image of {size.tolist()}, height and width'
    if isinstance(counts, str | bytes):
        return None
    if not _are_integers(counts) or any(count < 0 for count in counts):
        return "'counts' that are neither text nor whole numbers from 0"
    return None if sum(counts) == size.prod() else "'counts' that do not fill the image"


def _are_integers(values: Any) -> bool:
    return isinstance(values, list | tuple | np.ndarray) and all(map(is_integer, values))
