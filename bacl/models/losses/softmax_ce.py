"""Softmax classification over C classes and background (SCE): the usual loss of mmdet's heads."""
import torch.nn.functional as F
from bacl.ops import promoted
from mmdet.registry import MODELS
from torch import Tensor

from .base import LongTailLoss


def softmax_ce_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of the softmax over all channels, -log p_label.

    Args:
        logits: (N, channels), float32 or float64.
        labels: (N,), int64 in [0, channels).

    Returns:
        (N,), unreduced loss.
    """
    return F.cross_entropy(logits, labels, reduction='none')


@MODELS.register_module()
class SoftmaxCELoss(LongTailLoss):
    """Softmax loss over C classes and a background channel; see :class:`LongTailLoss`.

    The formula is that of mmdet's ``CrossEntropyLoss``, which is as good where nothing but a plain
    head is needed. This one also answers the questions of the heads (channels, scores), and so is
    the base of losses that change the formula and keep the scores.
    """

    extra_channels = 1

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """(N, C + 1) logits to (N, C + 1) scores: softmax, background last."""
        return promoted(cls_score).softmax(dim=1)

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """See :func:`softmax_ce_loss`."""
        return softmax_ce_loss(logits, labels)
