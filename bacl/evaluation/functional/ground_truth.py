"""Ground truth as arrays.

N: number of annotated objects, over all images.
"""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from faster_coco_eval import mask as mask_utils

from ..matching import EncodedMasks


@dataclass(frozen=True)
class GroundTruth:
    """N annotated objects.

    Args:
        image_id: (N,), int64.
        category_id: (N,), int64.
        area: (N,), float64, in pixels; decides whether an object is small, medium or large.
        is_crowd: (N,), bool; crowds are ignored, with all detections inside them.
        region: (N, 4) float64 boxes (x, y, w, h), or N :class:`.EncodedMasks`.
    """
    image_id: np.ndarray
    category_id: np.ndarray
    area: np.ndarray
    is_crowd: np.ndarray
    region: np.ndarray | EncodedMasks

    def __getitem__(self, index: np.ndarray) -> 'GroundTruth':
        """Those selected by an index array or a mask."""
        return GroundTruth(*(getattr(self, field.name)[index] for field in fields(self)))

    @classmethod
    def from_lvis(cls, annotations: Sequence[dict], images: Mapping[int, dict],
                  iou_type: str) -> 'GroundTruth':
        """Convert LVIS annotations: there are no crowds, but there may be objects to ignore.

        Args:
            annotations: not changed; their ids mean nothing.
            images: per id the record of an image, with ``height`` and ``width`` for 'segm'.
            iou_type: 'bbox' or 'segm', which needs a ``segmentation``.

        Returns:
            Those of a positive, finite area, as in lvis-api. An object with ``ignore`` has the area
            -1: outside of every range of sizes it has the wanted effect of being no object to find,
            and of taking one detection with it.
        """
        area = _column(annotations, 'area', np.float64)
        annotations = [annotations[i] for i in np.flatnonzero((area > 0) & (area < np.inf))]
        ignored = np.array([bool(gt.get('ignore')) for gt in annotations], dtype=bool)
        return cls._from_records(
            annotations, images, iou_type,
            area=np.where(ignored, -1, _column(annotations, 'area', np.float64)),
            is_crowd=np.zeros(len(annotations), dtype=bool))

    @classmethod
    def from_coco(cls, annotations: Sequence[dict], images: Mapping[int, dict],
                  iou_type: str) -> 'GroundTruth':
        """Convert COCO annotations; the arguments are those of :meth:`from_lvis`."""
        return cls._from_records(
            annotations, images, iou_type,
            area=_column(annotations, 'area', np.float64),
            is_crowd=np.array([bool(gt.get('iscrowd')) for gt in annotations], dtype=bool))

    @classmethod
    def _from_records(cls, annotations: Sequence[dict], images: Mapping[int, dict], iou_type: str,
                      area: np.ndarray, is_crowd: np.ndarray) -> 'GroundTruth':
        if iou_type == 'bbox':
            region = _column(annotations, 'bbox', np.float64).reshape(-1, 4)
        else:
            region = EncodedMasks.from_rles(
                [_encoded(gt['segmentation'], images[gt['image_id']]) for gt in annotations])
        return cls(_column(annotations, 'image_id', np.int64),
                   _column(annotations, 'category_id', np.int64), area, is_crowd, region)


def _column(records: Sequence[dict], key: str, dtype: type) -> np.ndarray:
    return np.array([record[key] for record in records], dtype=dtype)


def _encoded(segmentation: list | dict, image: dict) -> dict:
    """COCO's compressed run-length encoding of polygons or of any run-length encoding."""
    if isinstance(segmentation, dict) and isinstance(segmentation['counts'], str | bytes):
        return segmentation
    encoded = mask_utils.frPyObjects(segmentation, image['height'], image['width'])
    return mask_utils.merge(encoded) if isinstance(encoded, list) else encoded
