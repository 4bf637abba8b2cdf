"""Seesaw loss with counts of all ranks.

Shapes: N samples, C foreground classes, label C is background.
"""
import math

import torch
import torch.nn.functional as F
from bacl.ops import foreground_rows, promoted
from mmdet.registry import MODELS
from mmengine.dist import all_reduce
from torch import Tensor

from .base import LongTailLoss


def seesaw_logits(logits: Tensor, labels: Tensor, counts: Tensor, p: float, q: float,
                  eps: float) -> Tensor:
    """Class logits plus the logarithm of the seesaw factors, for a softmax.

    With N_j the samples of class j so far, i the true class of a sample and p_j its softmax
    scores, the competing class j is scaled by::

        S_ij = min(1, (N_j / N_i)^p) * max(1, (p_j / max(p_i, eps))^q)

    The first factor, mitigation, weakens the gradient that a sample of a frequent class gives to a
    rarer one; the second, compensation, restores it where the rarer class wins.

    Args:
        logits: (N, C), of the classes.
        labels: (N,), int64 in [0, C).
        counts: (C,), >= 0; 0 counts as 1.
        p: exponent of the ratio of counts, >= 0.
        q: exponent of the ratio of scores, >= 0.
        eps: smallest score of the true class in the ratio, > 0.

    Returns:
        (N, C); the factors have no gradient.

    Reference:
        Wang et al., "Seesaw Loss for Long-Tailed Instance Segmentation", CVPR 2021, Eq. (5)-(8).
    """
    log_count = counts.clamp(min=1).log().to(logits)
    log_score = logits.detach().log_softmax(dim=1)
    own_score = log_score.gather(1, labels[:, None]).clamp(min=math.log(eps))
    # Both are 0 at the label, whose logit so stays as it is.
    mitigation = (log_count - log_count[labels, None]).clamp(max=0)
    compensation = (log_score - own_score).clamp(min=0)
    return logits + p * mitigation + q * compensation


@MODELS.register_module()
class SynchronizedSeesawLoss(LongTailLoss):
    """Seesaw loss whose counts of samples are those of all ranks.

    A classifier has C + 2 outputs: the classes, object and background. The loss of a sample is the
    cross entropy of object against background, plus, for a foreground sample, the cross entropy of
    :func:`seesaw_logits`. The score of a class is softmax over the classes times the probability
    of an object. ``NormedLinear`` with temperature 20 is the classifier of the paper.

    The samples of a step are counted before its loss, those of weight 0 excepted. The buffer
    ``cum_samples`` (C + 1,), background last, is float64 and in the checkpoint.

    mmdet's ``SeesawLoss`` has the same formula, channels and buffer, so that its checkpoints can be
    loaded; but there each rank has counts of its own, of which a checkpoint keeps those of the
    first, samples of weight 0 count, and a step waits for the device once for every class in it.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        p: exponent of the mitigation, >= 0 (0.8 in the paper).
        q: exponent of the compensation, >= 0 (2 in the paper).
        eps: smallest score of the true class in the compensation, in (0, 1].
        **kwargs: of :class:`LongTailLoss`.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        See :func:`seesaw_logits`.
    """

    extra_channels = objectness_channels = 2
    starts_empty = True

    def __init__(self, num_classes: int | None = None, p: float = 0.8, q: float = 2.0,
                 eps: float = 0.01, **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.p = self.check('p', p, 'a number >= 0', lambda v: v >= 0)
        self.q = self.check('q', q, 'a number >= 0', lambda v: v >= 0)
        self.eps = self.check('eps', eps, 'a number in (0, 1]', lambda v: 0 < v <= 1)

    def init_state(self) -> None:
        """Declare the counts."""
        self.register_buffer('cum_samples',
                             torch.zeros(self.num_classes + 1, dtype=torch.float64))

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """(N, C + 2) logits to (N, C + 1) scores that sum to one, background last."""
        logits = promoted(cls_score)
        classes, objectness = logits[:, :-2].softmax(dim=1), logits[:, -2:].softmax(dim=1)
        return torch.cat([classes * objectness[:, :1], objectness[:, 1:]], dim=1)

    def get_accuracy(self, cls_score: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Accuracies, in percent.

        Returns:
            ``acc_objectness`` of object against background, and ``acc_classes`` of the classes
            among the foreground samples, 0 if there is none.
        """
        is_object = labels < self.num_classes
        objectness = (cls_score[:, -2] >= cls_score[:, -1]) == is_object
        is_right = cls_score[:, :-2].argmax(dim=1) == labels
        return dict(acc_objectness=100 * objectness.sum() / max(len(labels), 1),
                    acc_classes=100 * is_right.sum() / is_object.sum().clamp(min=1))

    def class_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(N,), loss of the class logits (N, C) of samples with labels in [0, C)."""
        logits = seesaw_logits(logits, labels, self.cum_samples[:-1], self.p, self.q, self.eps)
        return F.cross_entropy(logits, labels, reduction='none')

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(N,), loss of objectness and class of every sample."""
        is_background = labels == self.num_classes
        loss = F.cross_entropy(logits[:, -2:], is_background.long(), reduction='none')
        rows = foreground_rows(labels, self.num_classes)
        true_class = labels.index_select(0, rows).clamp(max=self.num_classes - 1)
        class_loss = self.class_losses(logits[:, :-2].index_select(0, rows), true_class)
        return loss.index_add(
            0, rows, class_loss.masked_fill(is_background.index_select(0, rows), 0))

    def prepare(self, logits: Tensor, labels: Tensor, weight: Tensor | None) -> None:
        """Count the samples whose weight is not 0, over all ranks."""
        counts = torch.zeros_like(self.cum_samples)
        is_present = torch.ones_like(labels) if weight is None else weight != 0
        counts.index_add_(0, labels, is_present.to(counts.dtype))
        all_reduce(counts)
        self.cum_samples += counts
