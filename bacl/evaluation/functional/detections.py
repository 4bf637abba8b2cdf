"""Detections as arrays: what evaluation needs, without one Python object per detection.

N: number of detections, over all images.
"""
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice

import numpy as np
from bacl.annotations.columns import Records, is_integer
from bacl.annotations.masks import broken_counts

from ..matching import EncodedMasks
from .arguments import check_iou_type, check_positive_int
from .ranking import top_scoring

# Highest scores of each category that fixed AP looks at, in the paper.
FIXED_AP_DETECTIONS = 10_000
# Records converted at once; those of a generator need not all be in memory.
_BATCH = 50_000


@dataclass(frozen=True)
class Detections:
    """N detections, in the order that decides between equal scores.

    Args:
        image_id: (N,), int64.
        category_id: (N,), int64.
        score: (N,), float64, finite.
        area: (N,), float64, in pixels; decides whether a detection is small, medium or large.
        region: what is compared with the ground truth: (N, 4) float64 boxes (x, y, w, h), or N
            masks.
    """
    image_id: np.ndarray
    category_id: np.ndarray
    score: np.ndarray
    area: np.ndarray
    region: np.ndarray | EncodedMasks

    def __len__(self) -> int:
        """Number of detections."""
        return len(self.score)

    def __getitem__(self, index: np.ndarray) -> 'Detections':
        """Those selected by an index array or a mask."""
        return Detections(*(getattr(self, field.name)[index] for field in fields(self)))

    @classmethod
    def from_records(cls, records: Iterable[dict], iou_type: str = 'bbox',
                     source: str = 'Detections') -> 'Detections':
        """Convert COCO result dicts, which are left as they are.

        As in lvis-api, the area of a mask is that of its box if the first record has one, and that
        of the mask otherwise: leave the boxes out to have APs, APm and APl by mask area.

        Args:
            records: dicts with ``image_id``, ``category_id``, ``score``, and ``bbox`` (x, y, w, h)
                or ``segmentation`` (compressed run-length encoding). Gone through once, so that
                they may be generated, as by :func:`.records.iterate_records`.
            iou_type: 'bbox' or 'segm'.
            source: what the records are from, for messages, as in 'Result file a.json'.

        Returns:
            The same detections in the same order.

        Raises:
            ValueError: if ``iou_type`` is unknown, or a record lacks a field or has something else
                in it: ids are whole numbers, a score is a finite number, a box four of these, a
                segmentation a compressed run-length encoding. Names source, record and field.
        """
        check_iou_type(iou_type, 'Detections.from_records(iou_type=)')
        records, parts, start = iter(records), [], 0
        batch = list(islice(records, _BATCH))
        with_box = iou_type == 'bbox' or (
            len(batch) > 0 and isinstance(batch[0], dict) and 'bbox' in batch[0])
        while batch or not parts:
            parts.append(cls._from_batch(Records(source, 'records', batch, start), iou_type,
                                         with_box))
            start += len(batch)
            batch = list(islice(records, _BATCH))
        return cls.concatenate(parts)

    @classmethod
    def _from_batch(cls, batch: Records, iou_type: str, with_box: bool) -> 'Detections':
        boxes = batch.boxes() if with_box else None
        region = boxes if iou_type == 'bbox' else encoded_masks(batch)
        return cls(
            image_id=batch.integers('image_id'),
            category_id=batch.integers('category_id'),
            score=batch.numbers('score'),
            area=boxes[:, 2] * boxes[:, 3] if with_box else region.areas(),
            region=region)

    @classmethod
    def concatenate(cls, parts: Sequence['Detections']) -> 'Detections':
        """All detections of at least one part, in their order."""
        columns = ([getattr(part, field.name) for part in parts] for field in fields(cls))
        return cls(*(EncodedMasks.concatenate(column) if isinstance(column[0], EncodedMasks)
                     else np.concatenate(column) for column in columns))

    def __post_init__(self) -> None:
        """Refuse columns that are not of the same objects, and scores that cannot be ranked."""
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f'Detections() expects columns of the same length, got {lengths}.')
        if not np.isfinite(self.score).all():
            index = int(np.flatnonzero(~np.isfinite(self.score))[0])
            raise ValueError(f'Detections(score=) expects finite scores, got {self.score[index]} '
                             f'in image {self.image_id[index]}.')

    def records(self, boxes: np.ndarray | None = None) -> Iterator[dict]:
        """Convert to COCO result dicts, which JSON can hold.

        Args:
            boxes: (N, 4), (x, y, w, h), to go into ``bbox``; those of masks, or the regions.

        Yields:
            The detections, in their order.
        """
        for start in range(0, len(self), _BATCH):
            rows = slice(start, start + _BATCH)
            batch = [{'image_id': image_id, 'category_id': category_id, 'score': score}
                     for image_id, category_id, score in zip(
                         self.image_id[rows].tolist(), self.category_id[rows].tolist(),
                         self.score[rows].tolist(), strict=True)]
            if isinstance(self.region, EncodedMasks):
                for record, mask in zip(batch, self.region[rows], strict=True):
                    record['segmentation'] = {**mask, 'counts': mask['counts'].decode()}
            if boxes is not None:
                for record, box in zip(batch, boxes[rows].tolist(), strict=True):
                    record['bbox'] = box
            yield from batch

    def check_known(self, image_ids: Iterable[int], category_ids: Iterable[int],
                    source: str = 'Detections') -> None:
        """Refuse detections of other images or categories than the annotated.

        Args:
            image_ids: of the annotations.
            category_ids: of the annotations.
            source: see :meth:`from_records`.

        Raises:
            ValueError: naming the unknown ids.
        """
        for name, known in (('image_id', image_ids), ('category_id', category_ids)):
            ids = getattr(self, name)
            unknown = np.setdiff1d(ids, list(known)).tolist()
            if unknown:
                shown = ', '.join(map(str, unknown[:10])) + (', ...' if len(unknown) > 10 else '')
                first = np.flatnonzero(np.isin(ids, unknown))[0]
                raise ValueError(f'{source} expects every {name} to be in the annotations, got '
                                 f'{len(unknown)} unknown: {shown}. The first is in number {first} '
                                 "of its 'records'.")

    def check_fit(self, annotations: Mapping[str, Sequence[dict]],
                  source: str = 'Detections') -> None:
        """Refuse detections of other images or categories than the annotated, or of other sizes.

        Args:
            annotations: with ``images`` and ``categories``; of masks, images have their ``height``
                and ``width``.
            source: see :meth:`from_records`.

        Raises:
            ValueError: naming the unknown ids, or the mask.
        """
        self.check_known(*([record['id'] for record in annotations[section]]
                           for section in ('images', 'categories')), source)
        if isinstance(self.region, EncodedMasks) and len(self):
            images = sorted(annotations['images'], key=lambda image: image['id'])
            sizes = np.array([(image['height'], image['width']) for image in images])
            expected = sizes[np.searchsorted([image['id'] for image in images], self.image_id)]
            for i in np.flatnonzero((self.region.sizes != expected).any(1))[:1]:
                raise ValueError(
                    f"{source}: the 'segmentation' of number {i} of its 'records' has the size "
                    f'{self.region.sizes[i].tolist()}, but image {self.image_id[i]} is '
                    f'{expected[i].tolist()}, height and width.')

    def top_scoring_per_image(self, max_dets: int) -> np.ndarray:
        """Select the ``max_dets`` highest scores of each image, over all categories.

        Of equal scores the earlier ones stay.

        Args:
            max_dets: largest number of detections of one image, >= 1.

        Returns:
            Indices, by image and falling score.

        Raises:
            ValueError: if ``max_dets`` is not a positive integer.
        """
        check_positive_int(max_dets, 'top_scoring_per_image(max_dets=)')
        return top_scoring(self.image_id, self.score, max_dets)

    def top_scoring_per_class(self, max_dets_per_class: int) -> np.ndarray:
        """Select the ``max_dets_per_class`` highest scores of each category, over all images.

        Of equal scores the earlier ones stay.

        Args:
            max_dets_per_class: largest number of detections of one category, >= 1.

        Returns:
            Indices, by category and falling score.

        Raises:
            ValueError: if ``max_dets_per_class`` is not a positive integer.
        """
        check_positive_int(max_dets_per_class, 'top_scoring_per_class(max_dets_per_class=)')
        return top_scoring(self.category_id, self.score, max_dets_per_class)


def encoded_masks(records: Records) -> EncodedMasks:
    """The masks of records, whose ``segmentation`` is a compressed run-length encoding.

    Raises:
        ValueError: naming the first that is none.
    """
    masks = records.column('segmentation')
    records.check(np.array([not _is_compressed(mask) for mask in masks], dtype=bool),
                  'segmentation', "COCO's compressed run-length encoding is expected")
    records.check(broken_counts([mask['counts'] for mask in masks],
                                np.array([mask['size'] for mask in masks]).reshape(-1, 2)),
                  'segmentation', "'counts' are expected to fill the image")
    return EncodedMasks.from_rles(masks)


def _is_compressed(mask: object) -> bool:
    if not isinstance(mask, dict) or not isinstance(mask.get('counts'), str | bytes):
        return False
    size = mask.get('size')
    return (isinstance(size, list | tuple | np.ndarray) and len(size) == 2
            and all(is_integer(side) and 0 < side < 2**31 for side in size))
