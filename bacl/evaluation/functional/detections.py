"""Detections as arrays: what evaluation needs, without one Python object per detection.

N: number of detections, over all images.
"""
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path

import numpy as np
from faster_coco_eval import mask as mask_utils

from .arguments import check_iou_type, check_positive_int


@dataclass(frozen=True)
class Detections:
    """N detections, in the order that decides between equal scores.

    Args:
        image_id: (N,), int64.
        category_id: (N,), int64.
        score: (N,), float64, finite.
        area: (N,), float64, in pixels; decides whether a detection is small, medium or large.
        region: what is compared with the ground truth: (N, 4) float64 boxes (x, y, w, h), or (N,)
            objects, masks in COCO's compressed run-length encoding.
    """
    image_id: np.ndarray
    category_id: np.ndarray
    score: np.ndarray
    area: np.ndarray
    region: np.ndarray

    def __len__(self) -> int:
        """Number of detections."""
        return len(self.score)

    def __getitem__(self, index: np.ndarray) -> 'Detections':
        """Those selected by an index array or a mask."""
        return Detections(*(getattr(self, field.name)[index] for field in fields(self)))

    @classmethod
    def from_records(cls, records: Sequence[dict], iou_type: str = 'bbox') -> 'Detections':
        """Convert COCO result dicts, which are left as they are.

        As in lvis-api, the area of a mask is that of its box if the first record has one, and that
        of the mask otherwise: leave the boxes out to have APs, APm and APl by mask area.

        Args:
            records: dicts with ``image_id``, ``category_id``, ``score``, and ``bbox`` (x, y, w, h)
                or ``segmentation`` (compressed run-length encoding).
            iou_type: 'bbox' or 'segm'.

        Returns:
            The same detections in the same order.

        Raises:
            ValueError: if ``iou_type`` is unknown, a record lacks a field, a score is not finite,
                or a segmentation is not a compressed run-length encoding.
        """
        check_iou_type(iou_type, 'Detections.from_records(iou_type=)')
        with_box = iou_type == 'bbox' or (len(records) > 0 and 'bbox' in records[0])
        boxes = _column(records, 'bbox', float).reshape(-1, 4) if with_box else None
        if iou_type == 'segm':
            region = as_mask_array([_field(records, i, 'segmentation')
                                    for i in range(len(records))])
        else:
            region = boxes
        return cls(
            image_id=_column(records, 'image_id', np.int64),
            category_id=_column(records, 'category_id', np.int64),
            score=_column(records, 'score', float),
            area=boxes[:, 2] * boxes[:, 3] if with_box else mask_areas(region),
            region=region)

    def __post_init__(self) -> None:
        """Refuse scores that cannot be ranked."""
        if not np.isfinite(self.score).all():
            index = int(np.flatnonzero(~np.isfinite(self.score))[0])
            raise ValueError(f'Detections(score=) expects finite scores, got {self.score[index]} '
                             f'in image {self.image_id[index]}.')

    def check_known(self, image_ids: Iterable[int], category_ids: Iterable[int]) -> None:
        """Refuse detections of other images or categories than the annotated.

        Args:
            image_ids: of the annotations.
            category_ids: of the annotations.

        Raises:
            ValueError: naming the unknown ids.
        """
        for field, known in (('image_id', image_ids), ('category_id', category_ids)):
            unknown = np.setdiff1d(getattr(self, field), list(known)).tolist()
            if unknown:
                shown = ', '.join(map(str, unknown[:10])) + (', ...' if len(unknown) > 10 else '')
                raise ValueError(f'Detections expects every {field} to be in the annotations, '
                                 f'got {len(unknown)} unknown: {shown}.')

    def top_scoring_per_image(self, max_dets: int) -> 'Detections':
        """The ``max_dets`` highest scores of each image, over all categories.

        Of equal scores the earlier ones stay.

        Args:
            max_dets: largest number of detections of one image, >= 1.

        Returns:
            The remaining detections, sorted by image and falling score.

        Raises:
            ValueError: if ``max_dets`` is not a positive integer.
        """
        check_positive_int(max_dets, 'top_scoring_per_image(max_dets=)')
        # lexsort is stable, so that equal scores keep their order, as in lvis-api.
        order = np.lexsort((-self.score, self.image_id))
        image_id = self.image_id[order]
        rank = np.arange(len(self)) - np.searchsorted(image_id, image_id)
        return self[order[rank < max_dets]]


def load_records(path: str | PathLike) -> list[dict]:
    """Read COCO result dicts from their JSON file.

    Args:
        path: path of the file.

    Returns:
        The result dicts.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it does not hold a JSON list.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'load_records(path=) expects an existing file, got {path}.')
    try:
        records = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f'load_records(path=) expects JSON, got {path} ({error}).') from error
    if not isinstance(records, list):
        raise ValueError(f'load_records(path=) expects a list of COCO results, got '
                         f'{type(records).__name__} in {path}.')
    return records


def as_mask_array(masks: Sequence[dict]) -> np.ndarray:
    """An object array of masks, so that they can be selected like numbers.

    Args:
        masks: N masks in COCO's compressed run-length encoding.

    Returns:
        (N,) objects.

    Raises:
        ValueError: if a mask is something else, for instance a polygon.
    """
    for index, mask in enumerate(masks):
        if not isinstance(mask, dict) or not isinstance(mask.get('counts'), str | bytes):
            raise ValueError('as_mask_array(masks=) expects COCO\'s compressed run-length '
                             f'encoding, got {type(mask).__name__} at index {index}.')
    array = np.empty(len(masks), dtype=object)
    array[:] = masks
    return array


def mask_areas(masks: np.ndarray) -> np.ndarray:
    """Areas of masks in pixels.

    Args:
        masks: (N,) objects, compressed run-length encodings.

    Returns:
        (N,), float64.
    """
    return np.asarray(mask_utils.area(list(masks)) if len(masks) else [], dtype=float)


def _column(records: Sequence[dict], key: str, dtype: type) -> np.ndarray:
    return np.array([_field(records, i, key) for i in range(len(records))], dtype=dtype)


def _field(records: Sequence[dict], index: int, key: str) -> object:
    if key not in records[index]:
        raise ValueError(f'Detections.from_records(records=) expects {key} in every record, '
                         f'got {sorted(records[index])} at index {index}.')
    return records[index][key]
