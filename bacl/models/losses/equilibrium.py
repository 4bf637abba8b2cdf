"""Equilibrium loss (EBL) of LOCE: a softmax loss with margins from the mean scores of classes."""
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from ..indicators import MeanClassificationScore
from .base import without_weightless
from .softmax_ce import SoftmaxCELoss, softmax_ce_loss

# Floor of a mean score, of which 0 would make a margin infinite.
MIN_MEAN_SCORE = 1e-7


def equilibrium_loss(logits: Tensor, labels: Tensor, mean_score: Tensor) -> Tensor:
    """Cross entropy of logits that are shifted by the logarithms of the classes' mean scores.

    With s_j the mean score of class j and y the label::

        loss = -log(s_y e^z_y / sum_j s_j e^z_j)

    A class that scores better than the true one so far, s_j > s_y, has to stay below it by the
    margin log(s_j / s_y). With equal scores it is the plain cross entropy.

    Args:
        logits: (N, channels), floating point.
        labels: (N,), int64 in [0, channels).
        mean_score: (channels,), >= 0; below 1e-7 it counts as 1e-7.

    Returns:
        (N,), unreduced loss.

    Reference:
        Feng et al., "Exploring Classification Equilibrium in Long-Tailed Object Detection", ICCV
        2021, the score-guided equilibrium loss.
    """
    margin = mean_score.clamp(min=MIN_MEAN_SCORE).log()
    return softmax_ce_loss(logits + margin.to(logits.dtype), labels)


@MODELS.register_module()
class EquilibriumLoss(SoftmaxCELoss):
    """Equilibrium loss on C softmax channels and one of background; see :func:`equilibrium_loss`.

    The mean scores are those of :class:`~bacl.models.indicators.MeanClassificationScore`, of
    softmax scores without margin, and a fixed one of background. They are its state, summed over
    ranks and in the checkpoint. Unlike other losses, this one is steered by its own samples, too:
    they are observed *before* their loss, as in the official code, except those of weight 0, which
    there are observed, too.

    Scores at test time are a plain softmax.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        gamma: weight that an object leaves to the old mean score, in [0, 1) (0.9 in the paper,
            which calls it alpha).
        background_score: mean score of background, in (0, 1] (0.01 in the paper).
        **kwargs: of :class:`LongTailLoss`.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        See :func:`equilibrium_loss`.
    """

    def __init__(self, num_classes: int | None = None, gamma: float = 0.9,
                 background_score: float = 0.01, **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.gamma = self.check('gamma', gamma, 'a number in [0, 1)', lambda v: 0 <= v < 1)
        self.background_score = self.check('background_score', background_score,
                                           'a number in (0, 1]', lambda v: 0 < v <= 1)

    def init_state(self) -> None:
        """Build the indicator."""
        self.indicator = MeanClassificationScore(self.num_classes, self.gamma, scores='softmax')

    def mean_score(self) -> Tensor:
        """(C + 1,), float64, mean scores of the classes and of background."""
        return F.pad(self.indicator.value(), (0, 1), value=self.background_score)

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """See :func:`equilibrium_loss`."""
        return equilibrium_loss(logits, labels, self.mean_score())

    def prepare(self, logits: Tensor, labels: Tensor, weight: Tensor | None) -> None:
        """Show the samples to the indicator."""
        self.indicator.observe(logits, without_weightless(labels, weight, self.num_classes))
