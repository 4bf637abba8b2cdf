"""Masks as three arrays instead of a Python object each."""
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from faster_coco_eval import mask as mask_utils

# Masks handled at once where one Python object, or one index, for each of all would be too many.
_BLOCK = 4096


@dataclass(frozen=True)
class EncodedMasks:
    """N masks in COCO's compressed run-length encoding.

    Args:
        counts: (B,), uint8, the encoded run lengths of all masks, one after the other.
        offsets: (N + 1,), int64; those of mask i are ``counts[offsets[i]:offsets[i + 1]]``.
        sizes: (N, 2), int32, height and width in pixels.
    """
    counts: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray

    @classmethod
    def from_rles(cls, rles: Sequence[dict]) -> 'EncodedMasks':
        """Convert COCO's dicts.

        Args:
            rles: N dicts with ``size`` (height, width) and ``counts``, str or bytes.

        Returns:
            The same masks in the same order.

        Raises:
            ValueError: if a mask is something else, for instance a polygon.
        """
        encoded = []
        for index, rle in enumerate(rles):
            if not isinstance(rle, dict) or not isinstance(rle.get('counts'), str | bytes):
                raise ValueError('EncodedMasks.from_rles(rles=) expects COCO\'s compressed '
                                 f'run-length encoding, got {type(rle).__name__} at index {index}.')
            counts = rle['counts']
            encoded.append(counts.encode() if isinstance(counts, str) else counts)
        return cls(
            counts=np.frombuffer(b''.join(encoded), dtype=np.uint8),
            offsets=_offsets([len(counts) for counts in encoded]),
            sizes=np.array([rle['size'] for rle in rles], dtype=np.int32).reshape(-1, 2))

    @classmethod
    def concatenate(cls, parts: Sequence['EncodedMasks']) -> 'EncodedMasks':
        """All masks of the parts, in their order; of no parts, no masks."""
        if not parts:
            return cls.from_rles([])
        return cls(
            counts=np.concatenate([part.counts for part in parts]),
            offsets=_offsets(np.concatenate([np.diff(part.offsets) for part in parts])),
            sizes=np.concatenate([part.sizes for part in parts]))

    def __len__(self) -> int:
        """Number of masks."""
        return len(self.sizes)

    def __iter__(self) -> Iterator[dict]:
        """COCO's dicts, with the counts as bytes."""
        borders = self.offsets.tolist()
        for start, stop, size in zip(borders[:-1], borders[1:], self.sizes.tolist(), strict=True):
            yield {'size': size, 'counts': self.counts[start:stop].tobytes()}

    def __getitem__(self, index: slice | np.ndarray) -> 'EncodedMasks':
        """Those selected by a slice of step 1, which copies no counts, an index array or a mask."""
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise ValueError(f'EncodedMasks[index] expects slices of step 1, got {index}.')
            offsets = self.offsets[start:max(start, stop) + 1]
            return EncodedMasks(self.counts[offsets[0]:offsets[-1]], offsets - offsets[0],
                                self.sizes[index])
        index = np.arange(len(self))[index]
        lengths = np.diff(self.offsets)[index]
        offsets = _offsets(lengths)
        counts = np.empty(offsets[-1], dtype=np.uint8)
        for block in range(0, len(index), _BLOCK):
            chosen = slice(block, block + _BLOCK)
            # Position in the old array of each byte: the start of its mask plus the place in it.
            shift = self.offsets[index[chosen]] - offsets[:-1][chosen]
            start, stop = offsets[block], offsets[min(block + _BLOCK, len(index))]
            counts[start:stop] = self.counts[
                np.arange(start, stop) + np.repeat(shift, lengths[chosen])]
        return EncodedMasks(counts, offsets, self.sizes[index])

    def areas(self) -> np.ndarray:
        """Areas in pixels: (N,), float64."""
        areas = np.empty(len(self))
        for start in range(0, len(self), _BLOCK):
            block = slice(start, start + _BLOCK)
            areas[block] = mask_utils.area(list(self[block]))
        return areas


def _offsets(lengths: Sequence[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
