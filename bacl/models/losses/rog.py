"""ROG: a ranking loss over all scores of a batch beside a classification loss.

Shapes: N samples, C foreground classes, P samples that may be foreground; label C is background.
"""
from typing import Any

import torch
import torch.nn.functional as F
from bacl.ops import foreground_rows, promoted
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from mmengine.dist import all_reduce
from torch import Tensor

from .base import LongTailLoss, without_weightless

# Smallest rank and weight of a class: they are 0 for samples that count nothing.
TINY = 1e-10
# Steps between the scores that negatives are rounded to.
NUM_STEPS = 1024


def gap_loss(logits: Tensor, labels: Tensor, weight: Tensor, class_weight: Tensor,
             delta: float) -> tuple[Tensor, Tensor]:
    """Generalised average precision loss: how many negatives rank above the positives of a class.

    Every logit is an item of one ranking: positive at its sample's label, else negative. With
    H(x) = clip(x / (2 delta) + 1/2, 0, 1), a positive i of class y has::

        FP_i = sum of H(z_j - z_i) over the negatives j of all classes
        R_i = FP_i + sum of H(z_k - z_i) over the positives k of class y, itself with 1/2
        L = sum_i a_i FP_i / R_i,    a_i = class_weight_y / (positives of y * classes present)

    The gradient is that of error-driven updates instead of the derivative: a positive is pulled up
    by its error, a_i FP_i / R_i, and each negative is pushed down by its part of it,
    a_i H(z_j - z_i) / R_i; they sum to 0. A weight counts a sample as so many.

    So that not all pairs are compared, negatives are rounded to 1,025 scores. These are evenly
    spaced and reach from where H is 0 for all positives to where it is 1; 0 is among them.

    Args:
        logits: (N, C), float32 or float64.
        labels: (N,), int64 in [0, C]; C is background.
        weight: (N,), >= 0.
        class_weight: (C,), >= 0.
        delta: half the width of H, > 0.

    Returns:
        Loss of each sample (N,), of which only positives have one, and the gradient (N, C) of its
        sum; neither has a gradient of its own.

    Reference:
        Zhang et al., "Reconciling Object-Level and Global-Level Objectives for Long-Tail
        Detection", ICCV 2023; H and the updates are those of Chen et al., "AP-Loss for Accurate
        One-Stage Object Detection", TPAMI 2020.
    """
    logits, num_classes = logits.detach(), logits.size(1)
    index = labels[:, None].clamp(max=num_classes - 1)
    is_object = labels[:, None] < num_classes
    at_label = logits.gather(1, index)
    rows = foreground_rows(labels, num_classes)
    score, label = at_label[rows, 0].double(), labels[rows]
    count = (weight[rows] * is_object[rows, 0]).double()
    is_present = (count > 0).double()

    is_same = (label[:, None] == label).double()
    num_present = (is_present / (is_same @ is_present).clamp(min=1)).sum().clamp(min=1)
    share = count / (is_same @ count).clamp(min=TINY) / num_present
    share = share * class_weight.double()[label.clamp(max=num_classes - 1)]

    # Without a positive there are still a lowest and a highest score.
    span = F.pad(score * is_present, (0, 1))
    low, high = span.min() - delta, span.max() + delta
    steps = low + (high - low) * torch.linspace(0, 1, NUM_STEPS + 1).to(span)
    scale = (NUM_STEPS / (high - low)).to(logits)
    place = ((logits - low.to(logits)) * scale).round_().clamp_(0, NUM_STEPS).long()
    place = place.scatter(1, index, place.gather(1, index).masked_fill(is_object, 0))
    num_at = weight.double() @ logits.new_zeros(len(logits), NUM_STEPS + 1).scatter_add(
        1, place, torch.ones_like(logits)).double()

    is_above = _soft_step(steps - score[:, None], delta)
    false_positives = is_above @ num_at
    rank = (is_same * _soft_step(score - score[:, None], delta)) @ count + false_positives
    share = share / rank.clamp(min=TINY)
    loss = logits.new_zeros(len(logits)).index_copy(0, rows, (share * false_positives).to(logits))
    gradient = (share @ is_above).to(logits)[place] * weight[:, None]
    at_label = torch.where(is_object, -loss[:, None], gradient.gather(1, index))
    return loss, gradient.scatter(1, index, at_label)


def _soft_step(difference: Tensor, delta: float) -> Tensor:
    """H of :func:`gap_loss`."""
    return (difference / (2 * delta) + 0.5).clamp(0, 1)


class _GivenGradient(torch.autograd.Function):
    """Values of samples, and the gradient that their sum is to have."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, loss: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, output_gradient: Tensor) -> tuple[Tensor, None, None]:
        gradient, = ctx.saved_tensors
        return output_gradient[:, None] * gradient, None, None


@MODELS.register_module()
class ROGLoss(LongTailLoss):
    """A classification loss plus :func:`gap_loss` of the same logits.

    Classes weigh a power of one over the number of their samples so far, 1 in the mean over all
    classes. Channels and scores are those of the classification loss, which sees its samples as it
    would alone; its divisor is not that of the ranking, which is a mean already. Samples of a step
    are counted before its loss, those of weight 0 excepted. The buffer ``num_samples`` (C,) is
    float64, summed over ranks, and in the checkpoint.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        loss: config of the classification loss, a :class:`LongTailLoss`; None is
            :class:`.ObjectnessBCELoss`.
        ranking_weight: factor of the ranking, >= 0 (0.1 in the official code, lambda).
        gamma: power of the counts, >= 0 (1 there).
        delta: see :func:`gap_loss`, > 0 (0.5 there).
        **kwargs: of :class:`LongTailLoss`.

    Raises:
        TypeError: if the classification loss is none of this package's kind.
        ValueError: if an argument is out of its range.

    Reference:
        See :func:`gap_loss`.
    """

    starts_empty = ('num_samples',)

    def __init__(self, num_classes: int | None = None, loss: ConfigType | None = None,
                 ranking_weight: float = 0.1, gamma: float = 1.0, delta: float = 0.5,
                 **kwargs) -> None:
        loss = dict(type='ObjectnessBCELoss') if loss is None else loss
        if not issubclass(MODELS.get(loss['type']), LongTailLoss):
            raise TypeError(f'{type(self).__name__}(loss=) expects a LongTailLoss such as '
                            f"dict(type='SynchronizedSeesawLoss'), got {loss}.")
        classification = MODELS.build(loss, default_args=dict(num_classes=num_classes))
        super().__init__(classification.num_classes, **kwargs)
        self.loss = classification
        self.objectness_channels = classification.objectness_channels
        self.has_relative_weights = bool(ranking_weight) or classification.has_relative_weights
        self.ranking_weight = self.check(
            'ranking_weight', ranking_weight, 'a number >= 0', lambda v: v >= 0)
        self.gamma = self.check('gamma', gamma, 'a number >= 0', lambda v: v >= 0)
        self.delta = self.check('delta', delta, 'a number > 0', lambda v: v > 0)
        if hasattr(classification, 'activation'):
            self.activation = classification.activation

    def init_state(self) -> None:
        """Make room for the counts."""
        self.register_buffer('num_samples', torch.zeros(self.num_classes, dtype=torch.float64))

    @property
    def num_channels(self) -> int:
        """Number of outputs of the classifier."""
        return self.loss.num_channels

    def get_cls_channels(self, num_classes: int) -> int:
        """See :class:`LongTailLoss`."""
        self.loss.get_cls_channels(num_classes)
        return super().get_cls_channels(num_classes)

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """(N, channels) logits to (N, C + 1) scores, those of the classification loss."""
        return self.loss.get_activation(cls_score)

    def get_accuracy(self, cls_score: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Accuracies of the classification loss."""
        return self.loss.get_accuracy(cls_score, labels)

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The classification loss of every sample and channel."""
        return self.loss.elementwise(logits, labels)

    def class_weight(self) -> Tensor:
        """(C,), float64, 1 in the mean: what a class weighs in the ranking."""
        weight = self.num_samples.clamp(min=1) ** -self.gamma
        return weight / weight.mean()

    def ranking_losses(self, logits: Tensor, labels: Tensor, weight: Tensor | None) -> Tensor:
        """(N,), :func:`gap_loss` of every sample of logits (N, channels), weighted."""
        weight = logits.new_ones(len(labels)) if weight is None else weight.to(logits.dtype)
        loss, gradient = gap_loss(logits[:, :self.num_classes], labels, weight,
                                  self.class_weight(), self.delta)
        return self.ranking_weight * _GivenGradient.apply(
            logits[:, :self.num_classes], loss, gradient)

    def prepare(self, logits: Tensor, labels: Tensor, weight: Tensor | None) -> None:
        """Count the samples whose weight is not 0, over all ranks."""
        counts = torch.zeros(self.num_classes + 1, dtype=torch.float64, device=labels.device)
        counts.index_add_(0, without_weightless(labels, weight, self.num_classes),
                          torch.ones_like(labels, dtype=counts.dtype))
        all_reduce(counts)
        self.num_samples += counts[:-1]

    def forward(self, cls_score: Tensor, labels: Tensor, weight: Tensor | None = None,
                avg_factor: float | Tensor | None = None,
                reduction_override: str | None = None) -> Tensor:
        """See :meth:`LongTailLoss.forward`; the ranking is not divided by ``avg_factor``."""
        reduction = self.check_reduction(reduction_override or self.reduction)
        logits = promoted(cls_score)  # once, so that both gradients are added before they are cut
        loss = self.loss(logits, labels, weight, avg_factor, reduction)
        if self.training and torch.is_grad_enabled():
            with torch.no_grad():
                self.prepare(logits, labels, weight)
        ranking = self.ranking_losses(logits, labels, weight)
        return self.loss_weight * (loss + (ranking if reduction == 'none' else ranking.sum()))
