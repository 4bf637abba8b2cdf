"""Predictions of images as arrays: what a metric keeps, and what ranks hand to the main process.

I: number of images. N: number of predicted objects, over all of them.
"""
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from ..functional.ranking import top_scoring
from ..matching import EncodedMasks


@dataclass(frozen=True)
class Predictions:
    """The objects predicted in I images, image after image.

    Args:
        image_id: (I,), int64.
        num_objects: (I,), int64, sums up to N.
        bboxes: (N, 4), float, (x1, y1, x2, y2) in pixels of the original image.
        scores: (N,), float.
        labels: (N,), int32.
        mask_scores: (N,), float, or None if boxes and masks share their scores.
        masks: of N objects, or None.
    """
    image_id: np.ndarray
    num_objects: np.ndarray
    bboxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    mask_scores: np.ndarray | None = None
    masks: EncodedMasks | None = None

    def __getitem__(self, images: np.ndarray) -> 'Predictions':
        """Those of the images selected by an index array."""
        num_objects = self.num_objects[images]
        ends = np.cumsum(self.num_objects)
        # Position of each object: where those of its image start, and its place among them.
        places = np.arange(num_objects.sum()) - np.repeat(
            np.cumsum(num_objects) - num_objects, num_objects)
        objects = np.repeat(ends[images] - num_objects, num_objects) + places
        return Predictions(self.image_id[images], num_objects,
                           **{name: column[objects] for name, column in self._columns().items()})

    def first(self, num_images: int) -> 'Predictions':
        """Those of the first images, without copying."""
        num_objects = self.num_objects[:num_images]
        objects = slice(0, int(num_objects.sum()))
        return Predictions(self.image_id[:num_images], num_objects,
                           **{name: column[objects] for name, column in self._columns().items()})

    def without_beaten(self, max_dets: int, max_dets_per_class: int) -> 'Predictions':
        """Drop objects that cannot count any more, whatever further images bring.

        Args:
            max_dets: objects of an image that count, those with the highest scores.
            max_dets_per_class: objects of a class that count, over all images.

        Returns:
            Those of the same images. Of an image that occurs twice the second has no objects, so
            that it takes no places from others.
        """
        images = np.repeat(np.arange(len(self.image_id)), self.num_objects)
        is_first = np.isin(np.arange(len(self.image_id)),
                           np.unique(self.image_id, return_index=True)[1])
        objects = np.flatnonzero(is_first[images])
        counts = np.zeros(len(images), dtype=bool)
        for scores in (self.scores, self.mask_scores):
            if scores is not None:
                for keys, number in ((images, max_dets), (self.labels, max_dets_per_class)):
                    counts[objects[top_scoring(keys[objects], scores[objects], number)]] = True
        return Predictions(self.image_id, np.bincount(images[counts], minlength=len(is_first)),
                           **{name: column[counts] for name, column in self._columns().items()})

    @classmethod
    def concatenate(cls, parts: Sequence['Predictions'], owner: str) -> 'Predictions':
        """The predictions of all parts, in their order.

        Args:
            parts: those of any numbers of images.
            owner: for the message, as in 'FastLVISMetric'.

        Returns:
            All; of no parts, those of no images.

        Raises:
            ValueError: if only some have mask scores, or masks.
        """
        parts = [part for part in parts if len(part.image_id)]
        if not parts:
            none = np.zeros(0)
            return cls(none.astype(np.int64), none.astype(np.int64), none.reshape(0, 4), none,
                       none.astype(np.int32), masks=EncodedMasks.from_rles([]))
        names = list(parts[0]._columns())
        for part in parts:
            if list(part._columns()) != names:
                raise ValueError(f'{owner} expects all predictions to have the same fields, got '
                                 f'{names} and {list(part._columns())}.')
        return cls(
            np.concatenate([part.image_id for part in parts]),
            np.concatenate([part.num_objects for part in parts]),
            **{name: _concatenate([getattr(part, name) for part in parts]) for name in names})

    def save(self, path: Path) -> None:
        """Write everything to a new .npz file of plain arrays."""
        arrays = {'image_id': self.image_id, 'num_objects': self.num_objects, **self._columns()}
        masks = arrays.pop('masks', None)
        if masks is not None:
            arrays |= {f'masks.{name}': array for name, array in vars(masks).items()}
        np.savez(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> 'Predictions':
        """Read what :meth:`save` wrote; nothing is unpickled."""
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        masks = {name: arrays.pop(name) for name in list(arrays) if name.startswith('masks.')}
        if masks:
            arrays['masks'] = EncodedMasks(
                **{name.removeprefix('masks.'): array for name, array in masks.items()})
        return cls(**arrays)

    def boxes_xywh(self) -> np.ndarray:
        """(N, 4), float64, (x, y, w, h)."""
        # Float64 before the subtraction: widths as exact as the corners are.
        boxes = self.bboxes.astype(np.float64)
        boxes[:, 2:] -= boxes[:, :2]
        return boxes

    def _columns(self) -> dict[str, np.ndarray | EncodedMasks]:
        """The columns, one entry for each object."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)[2:]}
        return {name: column for name, column in columns.items() if column is not None}


def _concatenate(columns: list) -> np.ndarray | EncodedMasks:
    return EncodedMasks.concatenate(columns) if isinstance(columns[0], EncodedMasks) else \
        np.concatenate(columns)
