"""Sigmoid classification without a background channel: the weaker baseline of Table I."""
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from .base import LongTailLoss
from .objectness_bce import objectness_bce_loss


def sigmoid_bce_loss(cls_score: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy of every class channel; a background sample is a negative of all.

    float32 at least, also under autocast.

    Args:
        cls_score: (N, C), logits.
        labels: (N,), int64 in [0, C]; C is background.

    Returns:
        (N, C), unreduced loss.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Table I, second row; which channels
        and targets "sigmoid" means there is taken from Tan et al., "Equalization Loss for
        Long-Tailed Object Recognition", CVPR 2020, whose baseline it is.
    """
    # A column takes the background labels and is dropped.
    return objectness_bce_loss(F.pad(cls_score, (0, 1)), labels)[:, :-1]


@MODELS.register_module()
class SigmoidBCELoss(LongTailLoss):
    """Sigmoid loss over C classes, none of which is background.

    As with :class:`ObjectnessBCELoss`, a sample contributes the *sum* over its channels, and the
    classifier's bias has to start at the prior probability 0.001 (``bias_prob=0.001`` in the
    head's ``init_cfg``).

    Args:
        num_classes: C, > 0; must equal the ``num_classes`` of the head.
        reduction: 'none', 'mean' or 'sum'.
        loss_weight: factor of the loss, >= 0.
    """

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """(N, C) logits to (N, C + 1) scores in [0, 1]: sigmoid(z), background last.

        The background score, 1 minus the highest class score, is no output of the classifier. It
        serves the accuracy in training; mmdet's heads leave it out of the detections.
        """
        scores = cls_score.sigmoid()
        return torch.cat([scores, 1 - scores.amax(dim=1, keepdim=True)], dim=1)

    def forward(self, cls_score: Tensor, labels: Tensor, weight: Tensor | None = None,
                avg_factor: float | None = None, reduction_override: str | None = None) -> Tensor:
        """Loss of N samples.

        Args:
            cls_score: (N, C), logits.
            labels: (N,), int64 in [0, C]; C is background.
            weight: (N,), >= 0, weight of each sample; None is 1.
            avg_factor: divisor of the sum under reduction 'mean', usually the number of samples.
                None divides by the number of *elements* N * C, as mmdet's losses do.
            reduction_override: 'none', 'mean' or 'sum' instead of the configured reduction.

        Returns:
            A scalar, or (N, C) for reduction 'none'. For N = 0 a differentiable zero.
        """
        loss = sigmoid_bce_loss(cls_score, labels)
        return self.reduce(loss, weight, avg_factor, reduction_override)
