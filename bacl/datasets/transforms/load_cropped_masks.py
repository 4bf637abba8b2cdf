"""Load masks as crops."""
from collections.abc import Iterator

import numpy as np
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.registry import TRANSFORMS

from .cropped_masks import Corner, CroppedMasks


@TRANSFORMS.register_module()
class LoadCroppedMasks(LoadAnnotations):
    """mmdet's ``LoadAnnotations``, with masks stored as crops around the objects.

    The transforms that follow do the same to them, for less; see :class:`CroppedMasks`.
    The records of the annotation file are removed: nothing later in a training pipeline reads
    them, and mmdet's ``MultiImageMixDataset`` would copy each coordinate several times.

    Required Keys:

    - ori_shape
    - instances: bbox, bbox_label, ignore_flag, mask (polygons or RLE)

    Added Keys:

    - gt_bboxes (BaseBoxes[torch.float32])
    - gt_bboxes_labels (np.int64)
    - gt_ignore_flags (bool)
    - gt_masks (CroppedMasks)

    Removed Keys:

    - instances

    Args:
        **kwargs: Those of ``LoadAnnotations``, except ``with_mask`` and ``poly2mask``.

    Raises:
        ValueError: if an RLE is not of the size of the image.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(with_mask=True, poly2mask=True, **kwargs)

    def transform(self, results: dict) -> dict:
        """Return ``results`` with the ground truth as arrays."""
        results = super().transform(results)
        results.pop('instances', None)
        return results

    def _load_masks(self, results: dict) -> None:
        height, width = results['ori_shape']
        masks = self._process_masks(results)
        results['gt_masks'] = CroppedMasks.from_parts(
            self._rasterise(masks, height, width, results.get('img_path')), height, width)

    def _rasterise(self, masks: list, height: int, width: int,
                   img_path: str | None) -> Iterator[tuple[np.ndarray, Corner]]:
        """Decode one mask after the other.

        A polygon is drawn on a canvas that ends behind it. On the whole one it would give the same
        pixels: pycocotools cuts the outline at the right and lower border, and a border behind the
        polygon cuts nothing. Moving the polygon to the origin would not do: rounding of the moved
        coordinates can differ.
        """
        for mask in masks:
            mask_height, mask_width = height, width
            if isinstance(mask, list):
                # Whole pixels behind the vertex, and one for the rounding of the outline.
                mask_width, mask_height = (
                    min(size, int(max(polygon[axis::2].max() for polygon in mask).clip(0)) + 2)
                    for axis, size in enumerate((width, height)))
            bitmap = self._poly2mask(mask, mask_height, mask_width)
            if bitmap.shape != (mask_height, mask_width):
                raise ValueError(
                    f'{type(self).__name__} expects masks of the size of the image, {height} x '
                    f'{width}, got an RLE of {bitmap.shape[0]} x {bitmap.shape[1]} for {img_path}. '
                    'Annotations and images do not belong together.')
            yield bitmap, (0, 0)
