"""Balanced softmax (BALMS): the class prior is added to the logits in training, not at test.

Shapes: N samples, C foreground classes; label C is background.
"""
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from .counted import CountedLoss, ImageShareLoss
from .sigmoid_bce import SigmoidBCELoss, sigmoid_bce_loss
from .softmax_ce import SoftmaxCELoss, softmax_ce_loss


def foreground_shift(labels: Tensor, shift: Tensor, num_channels: int) -> Tensor:
    """What is added to the logits, where only those of foreground samples are shifted.

    Args:
        labels: (N,), int64 in [0, C].
        shift: (C,), finite; the shift of each class. A background channel gets none.
        num_channels: C or C + 1.

    Returns:
        (N, ``num_channels``).
    """
    is_foreground = labels[:, None] < len(shift)
    return is_foreground * F.pad(shift, (0, num_channels - len(shift)))


def balanced_softmax_loss(logits: Tensor, labels: Tensor, log_prior: Tensor) -> Tensor:
    """Cross entropy of a softmax in which each channel has its prior n_j as a factor.

    With the label y::

        -log(n_y e^z_y / sum_j n_j e^z_j)

    The plain softmax of logits that minimise it is that of data in which all channels are as
    frequent.

    Args:
        logits: (N, channels), float32 or float64.
        labels: (N,), int64 in [0, channels).
        log_prior: log n, of a shape that broadcasts to that of the logits; a constant added to a
            row changes nothing.

    Returns:
        (N,), unreduced loss.

    Reference:
        Ren et al., "Balanced Meta-Softmax for Long-Tailed Visual Recognition", NeurIPS 2020.
    """
    return softmax_ce_loss(logits + log_prior, labels)


@MODELS.register_module()
class BalancedSoftmaxLoss(CountedLoss, SoftmaxCELoss):
    """Balanced softmax over C classes and a background channel.

    The prior of a class is its share in the training instances; a class without any counts as one
    with one. A background has no count to be compared with them: its channel has the prior 1, and
    background samples keep the plain softmax loss. So objects are shifted against the background,
    the more, the rarer they are. Scores are those of the plain softmax.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        **kwargs: of :class:`CountedLoss`.

    Reference:
        See :func:`balanced_softmax_loss`. The paper does not say what is done with the background.
    """

    count_name = 'instance_count'

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """See :func:`balanced_softmax_loss`."""
        counts = self.known_counts().clamp(min=1)
        log_prior = (counts / counts.sum()).log().to(logits)
        return balanced_softmax_loss(
            logits, labels, foreground_shift(labels, log_prior, self.num_channels))


def log_odds(image_count: Tensor, num_images: Tensor) -> Tensor:
    """Logit of the share of images that has each class, log(f / (1 - f)).

    It is finite: a class in none or in all images counts as one in one image more or less.

    Args:
        image_count: (C,), in [0, ``num_images``].
        num_images: scalar, > 0.

    Returns:
        (C,).
    """
    return (image_count.clamp(min=1) / (num_images - image_count).clamp(min=1)).log()


@MODELS.register_module()
class BalancedSigmoidLoss(ImageShareLoss, SigmoidBCELoss):
    """Balanced sigmoid loss over C classes without background channel: BALMS's code for LVIS.

    Foreground samples get :func:`log_odds` of the classes on their logits, background samples keep
    the plain sigmoid loss. Scores are the plain sigmoids. The classifier's bias has to start at the
    prior probability 0.001; see :class:`SigmoidBCELoss`.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        **kwargs: of :class:`.counted.ImageShareLoss`.

    Reference:
        See :func:`balanced_softmax_loss`, and the code that goes with it.
    """

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """See :func:`sigmoid_bce_loss`, with the class."""
        shift = log_odds(self.known_counts(), self.class_counts.num_images).to(logits)
        return sigmoid_bce_loss(
            logits + foreground_shift(labels, shift, self.num_channels), labels)
