"""The loss of stage 1: sigmoid classification with objectness (Eq. 2-4)."""
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from .base import ObjectnessLoss, one_hot_targets


def objectness_bce_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy of every channel, the background channel included.

    A background sample is a positive of the last channel and a negative of all others; it is the
    objectness branch that separates it from objects.

    Args:
        logits: (N, C + 1), float32 or float64.
        labels: (N,), int64 in [0, C]; C is background.

    Returns:
        (N, C + 1), unreduced loss.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Eq. (2)-(4).
    """
    return F.binary_cross_entropy_with_logits(
        logits, one_hot_targets(labels, logits), reduction='none')


@MODELS.register_module()
class ObjectnessBCELoss(ObjectnessLoss):
    """Sigmoid loss over C classes and a background channel; see :class:`LongTailLoss`.

    A sample contributes the *sum* over its channels. The sum starts near 0.69 * (C + 1) with a
    classifier bias of 0; start the bias at the prior probability 0.001 (``bias_prob=0.001`` in the
    head's ``init_cfg``) or the first steps destroy the features.

    See :func:`objectness_bce_loss` for the formula and
    :func:`~bacl.models.indicators.objectness_scores` for the scores at test time.
    """

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """See :func:`objectness_bce_loss`."""
        return objectness_bce_loss(logits, labels)
