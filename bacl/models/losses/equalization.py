"""Equalization loss: objects of other classes are no negatives of tail classes."""
import torch
from mmdet.registry import MODELS
from torch import Tensor

from .counted import ImageShareLoss
from .sigmoid_bce import SigmoidBCELoss


def eql_weights(labels: Tensor, is_tail: Tensor, background: Tensor | float = 1.0) -> Tensor:
    """Weight of every channel: 0 where a foreground sample is a negative of a tail class, else 1.

    Args:
        labels: (N,), int64 in [0, C]; C is background.
        is_tail: (C,), bool.
        background: weight of the tail classes in background samples, in [0, 1], or bool; of a
            shape that broadcasts to (N, C).

    Returns:
        (N, C), floating-point.

    Reference:
        Tan et al., "Equalization Loss for Long-Tailed Object Recognition", CVPR 2020, Eq. (3).
    """
    is_background = labels[:, None] == len(is_tail)
    weights = torch.where(is_tail, is_background * background, 1.0)
    # Positives always count; background samples, which have none, keep the weight at some class.
    index = labels[:, None].clamp(max=len(is_tail) - 1)
    return weights.scatter_(1, index, torch.where(is_background, weights.gather(1, index), 1.0))


@MODELS.register_module()
class EqualizationLoss(ImageShareLoss, SigmoidBCELoss):
    """Sigmoid loss in which objects of other classes do not suppress tail classes.

    A class is of the tail if a smaller share of the training images has it than
    ``frequency_thr``. The loss is that of :class:`SigmoidBCELoss` times :func:`eql_weights`. The
    classifier's bias has to start at the prior probability 0.001; see there.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        frequency_thr: share of the images that have annotations, in [0, 1]. The official ones are
            0.00177 for LVIS v0.5, that is 100 images, and 0.0011 for LVIS v1, 109 images.
        **kwargs: of :class:`.counted.ImageShareLoss`.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        See :func:`eql_weights`.
    """

    def __init__(self, num_classes: int | None = None, frequency_thr: float = 0.00177,
                 **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.frequency_thr = self.check(
            'frequency_thr', frequency_thr, 'a number in [0, 1]', lambda v: 0 <= v <= 1)

    def is_tail(self) -> Tensor:
        """(C,), bool: the classes below the threshold."""
        return self.class_counts.known_shares() < self.frequency_thr

    def channel_weights(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(N, C), weight of every channel; see :func:`eql_weights`."""
        return eql_weights(labels, self.is_tail())

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """See :func:`.sigmoid_bce_loss` and :func:`eql_weights`."""
        return super().elementwise(logits, labels) * self.channel_weights(logits, labels)
