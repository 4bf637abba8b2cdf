"""Never train on an image without ground truth."""
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class DropEmptyGT(BaseTransform):
    """Drop an image that has no ground-truth box left, so that the dataset draws another.

    Place it after the last transform that can remove boxes. mmdet's ``FilterAnnotations`` drops
    an image whose boxes it removes itself, but passes one on that was already empty, such as a
    crop beside all objects or an image whose boxes were all too small to be loaded. A box that is
    to be ignored in training does not count.

    Required Keys:

    - gt_bboxes (BaseBoxes[torch.float32])
    - gt_ignore_flags (bool) (optional)
    """

    def transform(self, results: dict) -> dict | None:
        """Return ``results`` unchanged, or None if no box is left."""
        num_boxes = len(results['gt_bboxes'])
        if 'gt_ignore_flags' in results:
            num_boxes -= int(results['gt_ignore_flags'].sum())
        return results if num_boxes else None

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
