"""Copy-Paste at the cost of what is pasted."""
import cv2
import numpy as np
from mmdet.datasets.transforms import CopyPaste
from mmdet.registry import TRANSFORMS

from .cropped_masks import CroppedMasks


@TRANSFORMS.register_module()
class CroppedCopyPaste(CopyPaste):
    """mmdet's ``CopyPaste`` on the crops of the masks instead of N full bitmaps.

    It draws the same random numbers and gives the same pixels, boxes, labels, masks and flags.
    The image keeps its data type, where ``CopyPaste`` returns eight bytes a channel.

    Required Keys:

    - img
    - gt_bboxes (BaseBoxes[torch.float32])
    - gt_bboxes_labels (np.int64)
    - gt_ignore_flags (bool)
    - gt_masks (BitmapMasks | PolygonMasks) (optional with ``paste_by_box``)
    - mix_results (list with the dict of the other image, of the same size)

    Modified Keys: the first five; ``gt_masks`` becomes ``CroppedMasks``.

    Args: those of ``CopyPaste``.

    Reference:
        Ghiasi et al., Simple Copy-Paste is a Strong Data Augmentation Method for Instance
        Segmentation, CVPR 2021.
    """

    def get_gt_masks(self, results: dict) -> CroppedMasks:
        """Return the masks as crops; those of the boxes if asked to paste boxes."""
        masks = super().get_gt_masks(results)
        if isinstance(masks, CroppedMasks):
            return masks
        return CroppedMasks(masks.to_ndarray(), masks.height, masks.width)

    def _copy_paste(self, dst_results: dict, src_results: dict) -> dict:
        """Paste all objects of ``src_results`` into ``dst_results``, which is returned."""
        if not len(src_results['gt_bboxes']):
            return dst_results
        dst_img, src_img = dst_results['img'], src_results['img']
        if (dst_img.shape, dst_img.dtype) != (src_img.shape, src_img.dtype):
            raise ValueError(
                f'{type(self).__name__} expects two images of one shape and type, got '
                f'{dst_img.shape} {dst_img.dtype} and {src_img.shape} {src_img.dtype}. '
                'Pad and convert both alike.')
        # Selecting has put them there, also those made of boxes.
        pasted = src_results['gt_masks'] if self.selected else self.get_gt_masks(src_results)
        cover = pasted.union()
        dst_boxes = dst_results['gt_bboxes']
        visible = self.get_gt_masks(dst_results).hide(cover)
        visible_boxes = visible.get_bboxes(type(dst_boxes))
        shifts = (visible_boxes.tensor - dst_boxes.tensor).abs()
        box_is_kept = (shifts <= self.bbox_occluded_thr).all(dim=-1).numpy()
        kept = box_is_kept | (visible.areas > self.mask_occluded_thr)

        dst_results['img'] = cv2.copyTo(src_img, cover, dst_img.copy())
        dst_results['gt_bboxes'] = dst_boxes.cat([visible_boxes[kept], src_results['gt_bboxes']])
        dst_results['gt_masks'] = CroppedMasks.cat([visible[kept], pasted])
        for key in ('gt_bboxes_labels', 'gt_ignore_flags'):
            dst_results[key] = np.concatenate([dst_results[key][kept], src_results[key]])
        return dst_results
