"""Sigmoid classification without a background channel: the weaker baseline of Table I."""
import torch
import torch.nn.functional as F
from bacl.ops import promoted
from mmdet.registry import MODELS
from torch import Tensor

from .base import LongTailLoss


def sigmoid_bce_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy of every class channel; a background sample is a negative of all.

    Args:
        logits: (N, C), float32 or float64.
        labels: (N,), int64 in [0, C]; C is background.

    Returns:
        (N, C), unreduced loss.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Table I, second row; which channels
        and targets "sigmoid" means there is taken from Tan et al., "Equalization Loss for
        Long-Tailed Object Recognition", CVPR 2020, whose baseline it is.
    """
    # Background samples write their 0 somewhere.
    index = labels[:, None].clamp(max=logits.size(1) - 1)
    is_object = (labels < logits.size(1)).to(logits)[:, None]
    targets = torch.zeros_like(logits).scatter_(1, index, is_object)
    return F.binary_cross_entropy_with_logits(logits, targets, reduction='none')


@MODELS.register_module()
class SigmoidBCELoss(LongTailLoss):
    """Sigmoid loss over C classes, none of which is background; see :class:`LongTailLoss`.

    As with :class:`ObjectnessBCELoss`, a sample contributes the *sum* over its channels, and the
    classifier's bias has to start at the prior probability 0.001 (``bias_prob=0.001`` in the
    head's ``init_cfg``).
    """

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """(N, C) logits to (N, C + 1) scores in [0, 1]: sigmoid(z), background last.

        The background score, 1 minus the highest class score, is no output of the classifier. It
        serves the accuracy in training; mmdet's heads leave it out of the detections.
        """
        scores = promoted(cls_score).sigmoid()
        return torch.cat([scores, 1 - scores.amax(dim=1, keepdim=True)], dim=1)

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """See :func:`sigmoid_bce_loss`."""
        return sigmoid_bce_loss(logits, labels)
