"""The loss of the representation stage: sigmoid classification with objectness (Eq. 2-4)."""
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from .base import ObjectnessLoss, one_hot_targets


def objectness_bce_loss(cls_score: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy of every channel, the background channel included.

    A background sample is a positive of the last channel and a negative of all others; it is the
    objectness branch that separates it from objects. float32 at least, also under autocast.

    Args:
        cls_score: (N, C + 1), logits.
        labels: (N,), int64 in [0, C]; C is background.

    Returns:
        (N, C + 1), unreduced loss.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Eq. (2)-(4).
    """
    logits = cls_score.to(torch.promote_types(cls_score.dtype, torch.float32))
    return F.binary_cross_entropy_with_logits(
        logits, one_hot_targets(labels, logits), reduction='none')


@MODELS.register_module()
class ObjectnessBCELoss(ObjectnessLoss):
    """Sigmoid loss over C classes and a background channel.

    In an mmdet head the loss is the sum over samples and channels divided by the number of
    samples (``avg_factor``): a sample contributes the *sum* over its channels. The sum starts near
    0.69 * (C + 1) with a classifier bias of 0; start the bias at the prior probability 0.001
    (``bias_prob=0.001`` in the head's ``init_cfg``) or the first steps destroy the features.

    See :func:`objectness_bce_loss` for the formula and
    :func:`~bacl.models.indicators.objectness_scores` for the scores at test time.

    Args:
        num_classes: C, > 0; must equal the ``num_classes`` of the head.
        reduction: 'none', 'mean' or 'sum'.
        loss_weight: factor of the loss, >= 0.
    """

    def forward(self, cls_score: Tensor, labels: Tensor, weight: Tensor | None = None,
                avg_factor: float | None = None, reduction_override: str | None = None) -> Tensor:
        """Loss of N samples.

        Args:
            cls_score: (N, C + 1), logits.
            labels: (N,), int64 in [0, C]; C is background.
            weight: (N,), >= 0, weight of each sample; None is 1.
            avg_factor: divisor of the sum under reduction 'mean', usually the number of samples.
                None divides by the number of *elements* N * (C + 1), as mmdet's losses do.
            reduction_override: 'none', 'mean' or 'sum' instead of the configured reduction.

        Returns:
            A scalar, or (N, C + 1) for reduction 'none'. For N = 0 a differentiable zero.
        """
        loss = objectness_bce_loss(cls_score, labels)
        return self.reduce(loss, weight, avg_factor, reduction_override)
