"""Jittered copies of ground-truth boxes, from which class statistics are collected (Eq. 10)."""
from itertools import product

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

# Every combination of "outwards" and "inwards" of the four sides: (16, 4).
SIGN_PATTERNS = tuple(product((-1., 1.), repeat=4))


def jitter_boxes(gt_bboxes: Tensor, offsets: Tensor, img_shape: tuple[int, int]) -> Tensor:
    """Shift the sides of boxes by fractions of their size (Eq. 10)::

        box = gt + offsets * (w, h, w, h) / 6, clamped to [0, W - 1] x [0, H - 1]

    Clamping can shrink a box at the border of the image, down to zero size.

    Args:
        gt_bboxes: (G, 4), xyxy in pixels.
        offsets: (K, 4) for the same K offsets for every box, or (G, K, 4); in [-1, 1].
        img_shape: (H, W) of the image without padding, in pixels.

    Returns:
        (G * K, 4), xyxy in pixels; the K boxes of one ground truth follow each other.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Eq. (10).
    """
    size = gt_bboxes[:, 2:] - gt_bboxes[:, :2]  # (G, 2)
    boxes = gt_bboxes[:, None] + offsets * size.repeat(1, 2)[:, None] / 6  # (G, K, 4)
    height, width = img_shape
    x, y = boxes[..., 0::2].clamp(0, width - 1), boxes[..., 1::2].clamp(0, height - 1)
    return torch.stack([x, y], dim=-1).view_as(boxes).flatten(0, 1)


@MODELS.register_module()
class GTBoxGenerator(nn.Module):
    """Sixteen boxes around every ground truth: all sign patterns, random magnitudes.

    The offsets of Eq. (10) lie in [-1, 1]; here each of the sixteen boxes of a ground truth owns
    one of the sixteen sign patterns and draws its four magnitudes from U[0, 1), so that growing,
    shrinking and shifting in every direction all occur for each object.
    """

    num_boxes = len(SIGN_PATTERNS)

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('signs', torch.tensor(SIGN_PATTERNS), persistent=False)

    @torch.no_grad()
    def forward(self, gt_bboxes: Tensor, img_shape: tuple[int, int]) -> Tensor:
        """Jittered boxes of one image.

        Args:
            gt_bboxes: (G, 4), xyxy in pixels; G may be 0.
            img_shape: (H, W) of the image without padding, in pixels.

        Returns:
            (16 * G, 4), xyxy in pixels; 16 consecutive rows per ground truth.
        """
        magnitudes = torch.rand(len(gt_bboxes), self.num_boxes, 4, dtype=gt_bboxes.dtype,
                                device=gt_bboxes.device)
        return jitter_boxes(gt_bboxes, self.signs.to(magnitudes) * magnitudes, img_shape)
