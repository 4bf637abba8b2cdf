"""Effective class margin loss (ECM): sigmoids with a fixed margin for every class."""
import torch
from mmdet.registry import MODELS
from torch import Tensor

from .base import ObjectnessLoss
from .counted import CountedLoss
from .objectness_bce import objectness_bce_loss


def ecm_margins(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Shift of the logit and weight of the loss of every channel.

    With n_j the samples of class j and r_j = (sum_k n_k - n_j) / n_j its negatives for each
    positive::

        shift_j = -1/4 log r_j
        weight_j = r_j log(1 + 1 / r_j)

    Args:
        counts: (K,), > 0, K > 1.

    Returns:
        ``shift`` and ``weight``, (K,) each.
    """
    ratio = (counts.sum() - counts) / counts
    return -ratio.log() / 4, ratio * (1 / ratio).log1p()


def ecm_loss(logits: Tensor, labels: Tensor, shift: Tensor, weight: Tensor) -> Tensor:
    """Weighted binary cross entropy of the doubled, shifted logits of every channel.

    The two margins of a class, of its positives and of its negatives, differ by the shift, and
    that is all that matters to a sigmoid.

    Args:
        logits: (N, C + 1), float32 or float64.
        labels: (N,), int64 in [0, C]; C is background.
        shift: (C + 1,), of the type of the logits; see :func:`ecm_margins`.
        weight: (C + 1,), likewise.

    Returns:
        (N, C + 1), unreduced loss.

    Reference:
        Cho and Krähenbühl, "Long-tail Detection with Effective Class-Margins", ECCV 2022.
    """
    return objectness_bce_loss(2 * logits + shift, labels) * weight


@MODELS.register_module()
class EffectiveClassMarginLoss(CountedLoss, ObjectnessLoss):
    """Effective class margin loss on C sigmoid class channels plus a background channel.

    See :func:`ecm_loss`. Factor and shift are in training only; scores are those of
    :class:`ObjectnessLoss`. A class without images counts as one in one image.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        background_ratio: number of background samples for each of the image counts' sum, > 0;
            6.3313 in the official code.
        **kwargs: of :class:`CountedLoss`.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        See :func:`ecm_loss`.
    """

    def __init__(self, num_classes: int | None = None, background_ratio: float = 6.3313,
                 **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.background_ratio = self.check(
            'background_ratio', background_ratio, 'a number > 0', lambda v: v > 0)

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """See :func:`ecm_loss`."""
        counts = self.known_counts().clamp(min=1)
        counts = torch.cat([counts, self.background_ratio * counts.sum(0, keepdim=True)])
        shift, weight = (margin.to(logits) for margin in ecm_margins(counts))
        return ecm_loss(logits, labels, shift, weight)
