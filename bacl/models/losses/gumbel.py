"""Gumbel losses (GOL): the Gumbel distribution in place of the sigmoid."""
import math

import torch
from bacl.ops import promoted
from mmdet.registry import MODELS
from torch import Tensor

from .drop import DropLoss
from .sigmoid_bce import SigmoidBCELoss

# Beyond these the loss goes on straight: exp(-z) would explode below, and round 1 - p to 0 above.
MIN_LOGIT, MAX_LOGIT = -4.0, 10.0
NEGATIVE_AT_MAX = -math.log(-math.expm1(-math.exp(-MAX_LOGIT)))


def gumbel_scores(logits: Tensor) -> Tensor:
    """Distribution function of the standard Gumbel distribution, exp(-exp(-z)), in [0, 1]."""
    return (-(-logits).exp()).exp()


def gumbel_ce_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy of the Gumbel score of every class channel.

    With z the logit::

        positive: -log(exp(-exp(-z))) = exp(-z)
        negative: -log(1 - exp(-exp(-z)))

    A positive with a low score pulls with exp(-z), where that of a sigmoid pulls with 1 at most; a
    negative with a low score p pushes with -p log p / (1 - p). Below -4 and above 10 the loss is
    its tangent there, so that gradients stay below exp(4), and a wrong logit always has one.

    Args:
        logits: (N, C), float32 or float64.
        labels: (N,), int64 in [0, C]; C is background.

    Returns:
        (N, C), unreduced loss.

    Reference:
        Alexandridis et al., "Long-tailed Instance Segmentation using Gumbel Optimized Loss", ECCV
        2022. The official code clips logits to [-4, 10] and gives them no gradient beyond.
    """
    # Clamps have no gradient at their bounds, so these are beyond the joints.
    log_score = -(-logits.clamp(MIN_LOGIT, MAX_LOGIT + 1)).exp()
    # expm1 keeps the digits of 1 - p. The tangent of a negative has the slope 1, to five digits.
    negative = torch.where(logits > MAX_LOGIT, logits - MAX_LOGIT + NEGATIVE_AT_MAX,
                           -(-log_score.expm1()).log())
    # Background samples, which have no positive, write back what is there.
    index = labels[:, None].clamp(max=logits.size(1) - 1)
    at_label = logits.gather(1, index)
    positive = torch.where(at_label < MIN_LOGIT, math.exp(-MIN_LOGIT) * (1 + MIN_LOGIT - at_label),
                           (-at_label.clamp(min=MIN_LOGIT - 1)).exp())
    is_object = labels[:, None] < logits.size(1)
    return negative.scatter(1, index, torch.where(is_object, positive, negative.gather(1, index)))


@MODELS.register_module()
class GumbelCELoss(SigmoidBCELoss):
    """Gumbel scores over C classes, none of which is background; see :func:`gumbel_ce_loss`.

    A sample contributes the *sum* over its channels. The classifier's bias has to start at -2,
    where a score is 0.0006.
    """

    activation = 'gumbel'  # refuses calibrators for sigmoids

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """(N, C) logits to (N, C + 1) scores in [0, 1], background last, as with sigmoids."""
        scores = gumbel_scores(promoted(cls_score))
        return torch.cat([scores, 1 - scores.amax(dim=1, keepdim=True)], dim=1)

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """See :func:`gumbel_ce_loss`."""
        return gumbel_ce_loss(logits, labels)


@MODELS.register_module()
class GumbelDropLoss(DropLoss, GumbelCELoss):
    """Gumbel optimized loss (GOL): :class:`.DropLoss` of Gumbel scores.

    The classifier's bias has to start at -2; see :class:`GumbelCELoss`.

    Args:
        num_classes: C; see :class:`.LongTailLoss`.
        frequency_thr: see :class:`.DropLoss`. The official one is 0.0011 for LVIS v1.
        **kwargs: of :class:`.DropLoss`.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        See :func:`gumbel_ce_loss`.
    """
