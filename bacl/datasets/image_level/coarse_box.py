"""Coarse boxes of images without boxes."""
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes

RULES = ('whole', 'centre', 'region')


@TRANSFORMS.register_module()
class LoadCoarseBox(BaseTransform):
    """Gives an image without boxes one by rule, with the label of the image.

    To be placed behind ``LoadImageFromFile``; mmdet's transforms (flips, resizing, crops, mosaics)
    then treat the box as any other. A crop may leave a fragment of what the label says: soft labels
    are to stand that.

    Required Keys:

    - img_shape
    - image_label (int)
    - region (four numbers, or None)

    Added Keys:

    - gt_bboxes (HorizontalBoxes[torch.float32], 1 x 4)
    - gt_bboxes_labels (np.int64, 1): the label, -1 of an image without a class
    - gt_ignore_flags (bool, 1): False

    Args:
        rule: 'whole', the whole image; 'centre', the middle of it; 'region', what the data say.
        centre_ratio: sides of the middle, relative to those of the image, in (0, 1].

    Raises:
        ValueError: if an argument is out of its range; or in use, if the data have no region, or
            one outside the image. What lies beyond a border is cut off.
    """

    def __init__(self, rule: str = 'whole', centre_ratio: float = 0.8) -> None:
        if rule not in RULES:
            raise ValueError(f'LoadCoarseBox(rule=) expects one of {RULES}, got {rule!r}.')
        if not 0 < centre_ratio <= 1:
            raise ValueError('LoadCoarseBox(centre_ratio=) expects a number in (0, 1], got '
                             f'{centre_ratio!r}.')
        self.rule, self.centre_ratio = rule, centre_ratio

    def transform(self, results: dict) -> dict:
        """Add the box."""
        height, width = results['img_shape'][:2]
        box = (0, 0, width, height)
        if self.rule == 'centre':
            margin = (1 - self.centre_ratio) / 2
            box = (margin * width, margin * height, (1 - margin) * width, (1 - margin) * height)
        elif self.rule == 'region':
            box = results['region']
            if box is None:
                raise ValueError(f"LoadCoarseBox(rule='region') expects a region of "
                                 f'{results["img_path"]}, got none. Add it to the data or choose '
                                 "the rule 'whole'.")
            left, top, right, bottom = box
            box = (max(left, 0), max(top, 0), min(right, width), min(bottom, height))
            if box[0] >= box[2] or box[1] >= box[3]:
                raise ValueError(f"LoadCoarseBox(rule='region') expects a region inside "
                                 f'{results["img_path"]}, which is {width} x {height} pixels, got '
                                 f'{results["region"]}. Mend the data.')
        results['gt_bboxes'] = HorizontalBoxes(torch.tensor([box], dtype=torch.float32))
        results['gt_bboxes_labels'] = np.array([results['image_label']], dtype=np.int64)
        results['gt_ignore_flags'] = np.zeros(1, dtype=bool)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(rule={self.rule!r}, centre_ratio={self.centre_ratio})'
