"""Ground truth as arrays.

N: number of annotated objects, over all images.
"""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from bacl.annotations.columns import Records
from bacl.annotations.masks import mask_faults
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
            Those of a positive area, as in lvis-api. An object with ``ignore`` has the area -1:
            outside of every range of sizes it has the wanted effect of being no object to find, and
            of taking one detection with it.

        Raises:
            ValueError: naming an annotation whose fields are not what they should be.
        """
        area = _records(annotations).numbers('area')
        annotations = [annotations[i] for i in np.flatnonzero(area > 0)]
        ignored = _records(annotations).flags('ignore')
        return cls._from_records(annotations, images, iou_type,
                                 area=np.where(ignored, -1, area[area > 0]),
                                 is_crowd=np.zeros(len(annotations), dtype=bool))

    @classmethod
    def from_coco(cls, annotations: Sequence[dict], images: Mapping[int, dict],
                  iou_type: str) -> 'GroundTruth':
        """Convert COCO annotations; the arguments are those of :meth:`from_lvis`."""
        records = _records(annotations)
        return cls._from_records(annotations, images, iou_type, area=records.numbers('area'),
                                 is_crowd=records.flags('iscrowd'))

    @classmethod
    def _from_records(cls, annotations: Sequence[dict], images: Mapping[int, dict], iou_type: str,
                      area: np.ndarray, is_crowd: np.ndarray) -> 'GroundTruth':
        records = _records(annotations)
        image_id, category_id = records.integers('image_id'), records.integers('category_id')
        region = records.boxes() if iou_type == 'bbox' else \
            _encoded_masks(records, [images[i] for i in image_id.tolist()])
        return cls(image_id, category_id, area, is_crowd, region)


def _records(annotations: Sequence[dict]) -> Records:
    return Records('Ground truth', 'annotations', annotations)


def _encoded_masks(records: Records, images: Sequence[dict]) -> EncodedMasks:
    masks = records.column('segmentation')
    sizes = np.array([(image['height'], image['width']) for image in images]).reshape(-1, 2)
    for position, fault in mask_faults(masks, sizes).items():
        raise records.error(position, f"has the 'segmentation' {fault}")
    return EncodedMasks.from_rles([_encoded(mask, *size) for mask, size in zip(
        masks, sizes.tolist(), strict=True)])


def _encoded(segmentation: list | dict, height: int, width: int) -> dict:
    """COCO's compressed run-length encoding of polygons or of any run-length encoding."""
    if isinstance(segmentation, dict) and isinstance(segmentation['counts'], str | bytes):
        return segmentation
    encoded = mask_utils.frPyObjects(segmentation, height, width)
    return mask_utils.merge(encoded) if isinstance(encoded, list) else encoded
