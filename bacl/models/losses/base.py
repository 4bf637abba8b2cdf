"""The template of a classification loss, and the contract with mmdet's two-stage heads.

Shapes: N samples, C foreground classes; label C is background.
"""
from abc import ABC, ABCMeta, abstractmethod
from typing import Any

import torch
from bacl.ops import promoted
from mmdet.models.losses import accuracy
from torch import Tensor, nn

from ..indicators import objectness_scores


class _StateAfterInit(ABCMeta):
    """Lets a loss whose config says C declare its state once its constructor is through.

    State depends on C and on the arguments of the subclass; without this, every constructor would
    have to end with the same call, and those of subclasses of subclasses would make it too early.
    """

    def __call__(cls, *args, **kwargs) -> 'LongTailLoss':
        loss = super().__call__(*args, **kwargs)
        if loss.num_classes is not None:
            loss.init_state()
        return loss


class LongTailLoss(nn.Module, ABC, metaclass=_StateAfterInit):
    """A classification loss that says how its head's logits are counted, activated and judged.

    A subclass writes its formula, :meth:`elementwise`, and what its logits mean,
    :meth:`get_activation`. If it learns from training, it declares its state in
    :meth:`init_state` and changes it in :meth:`observe`. Weights, reduction, precision and the
    order of the two are the template's: in a training step, that is in training mode with
    gradients, samples are observed *after* their loss, so a step is steered by what was known
    before it; a method that is defined the other way round has :meth:`prepare`. In ``eval()``, and
    while a sampler ranks samples without gradients, no state changes.

    mmdet's heads ask a loss three questions through three flags, and read the flags crosswise
    (``custom_cls_channels`` also decides the activation at test time, ``custom_activation`` also
    the accuracy in training). So a loss answers all three or none; here it answers all three. A
    head that does not ask is refused; see :func:`.head_contract.check_heads`.

    Args:
        num_classes: C, > 0; None takes it from the head. If both say it, they must agree.
        reduction: 'none', 'mean' or 'sum'.
        loss_weight: factor of the loss, >= 0.

    Attributes:
        extra_channels: outputs of the classifier besides one for each class.
        objectness_channels: how many of these, the last ones, tell objects from background by
            themselves, whatever the class.
        has_relative_weights: whether weights of samples count relative to each other alone, so that
            half of all is not half the loss.

    Raises:
        ValueError: if an argument is out of its range.
    """

    custom_cls_channels = True
    custom_activation = True
    custom_accuracy = True

    extra_channels = 0
    objectness_channels = 0
    has_relative_weights = False

    def __init__(self, num_classes: int | None = None, reduction: str = 'mean',
                 loss_weight: float = 1.0) -> None:
        super().__init__()
        self.num_classes = self.check(
            'num_classes', num_classes, 'a positive int or None',
            lambda v: v is None or isinstance(v, int) and v > 0)
        self.reduction = self.check_reduction(reduction)
        self.loss_weight = self.check(
            'loss_weight', loss_weight, 'a number >= 0', lambda v: v >= 0)
        self.knows_its_head = False

    def check(self, name: str, value: Any, expected: str, is_valid) -> Any:
        """Return ``value`` if ``is_valid(value)``; else raise a ValueError that names it."""
        if not is_valid(value):
            raise ValueError(f'{type(self).__name__}({name}=) expects {expected}, got {value!r}.')
        return value

    def check_reduction(self, reduction: str) -> str:
        """Return ``reduction`` if it is one of mmdet's three; else raise a ValueError."""
        return self.check('reduction', reduction, "'none', 'mean' or 'sum'",
                          lambda v: v in ('none', 'mean', 'sum'))

    @property
    def num_channels(self) -> int:
        """Number of outputs of the classifier."""
        return self.num_classes + self.extra_channels

    @property
    def use_sigmoid(self) -> bool:
        """Refuses heads that ask for this flag of mmdet's losses, and for no scores.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            f'{type(self).__name__} is in a head that asks its loss for use_sigmoid and computes '
            'the scores itself, such as DIIHead (Sparse R-CNN, QueryInst) and the heads of DETR; '
            "it would not ask this loss for them. Use a head whose base is mmdet's BBoxHead, such "
            'as Shared2FCBBoxHead.')

    def serve_dense_head(self) -> None:
        """Leave channels and scores to a dense head, which does not ask for them.

        Raises:
            ValueError: if the config does not say C, which such a head does not tell.
        """
        self.check('num_classes', self.num_classes, 'that of the head with use_sigmoid=True, which '
                   'does not tell it', lambda v: v is not None)
        # What mmdet's dense heads make of these: C + 1 scores where they expect C.
        self.custom_cls_channels = self.custom_activation = self.custom_accuracy = False

    def init_state(self) -> None:
        """Declare buffers and modules; called once, when C is known as ``num_classes``."""

    def get_cls_channels(self, num_classes: int) -> int:
        """Tell the loss the number of classes of its head; it answers the number of channels.

        Raises:
            ValueError: if the head has another number of classes than the config of the loss.
        """
        if self.num_classes is None:
            self.num_classes = num_classes
            self.init_state()
        if num_classes != self.num_classes:
            raise ValueError(f'{type(self).__name__}(num_classes={self.num_classes}) is used in a '
                             f'head with num_classes={num_classes}. Leave it out of the loss, '
                             'which then takes that of the head, or set both to the same number.')
        self.knows_its_head = True
        return self.num_channels

    @abstractmethod
    def get_activation(self, cls_score: Tensor) -> Tensor:
        """(N, channels) logits to (N, C + 1) scores in [0, 1], background last.

        In float32 at least, by :func:`~bacl.ops.promoted`, as in the loss.
        """

    def get_accuracy(self, cls_score: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """``acc``: share of samples whose highest score is at their label, in percent."""
        with torch.no_grad():
            return dict(acc=accuracy(self.get_activation(cls_score), labels))

    @abstractmethod
    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The formula: the loss of every sample and channel.

        Args:
            logits: (N, channels), float32 or float64.
            labels: (N,), int64 in [0, C].

        Returns:
            (N, channels), or (N,) where a sample has no loss of its channels one by one.
        """

    def sample_losses(self, logits: Tensor, labels: Tensor, weight: Tensor | None) -> Tensor:
        """Loss of every sample times its weight.

        A subclass replaces it in which it depends on the other samples, and on their weights, how
        much a sample counts.

        Args:
            logits: (N, channels), float32 or float64.
            labels: (N,), int64 in [0, C].
            weight: (N,), of the type of the logits, weight of each sample; None is 1.

        Returns:
            (N,).
        """
        # No matrix product of loss and weight, which autocast would compute in half precision.
        loss = self.elementwise(logits, labels)
        loss = loss.sum(dim=1) if loss.dim() == 2 else loss
        return loss if weight is None else loss * weight

    def prepare(self, logits: Tensor, labels: Tensor, weight: Tensor | None) -> None:
        """Learn from the samples of a training step before their loss; see :meth:`observe`."""

    def observe(self, logits: Tensor, labels: Tensor, weight: Tensor | None) -> None:
        """Learn from the samples of a training step, after their loss.

        If state is summed over ranks, every rank has to get here in every step: mmdet's heads do,
        unless a rank has not a single RoI, which an RPN does not bring about.

        Args:
            logits: (N, channels), float32 or float64, without gradient.
            labels: (N,), int64 in [0, C].
            weight: (N,), of the type of the logits, weight of each sample; None is 1.
        """

    def forward(self, cls_score: Tensor, labels: Tensor, weight: Tensor | None = None,
                avg_factor: float | Tensor | None = None,
                reduction_override: str | None = None) -> Tensor:
        """Loss of N samples; a sample contributes the sum over its channels.

        Args:
            cls_score: (N, channels), logits; computed with in float32 at least, also under
                autocast: their exponentials overflow or vanish in half precision.
            labels: (N,), int64 in [0, C]; C is background.
            weight: (N,), >= 0, weight of each sample; None is 1. mmdet's heads pass ones.
            avg_factor: divisor of the sum under reduction 'mean'; None is N, at least 1.
            reduction_override: 'none', 'mean' or 'sum' instead of the configured reduction.

        Returns:
            A scalar, or (N,) for reduction 'none'. For N = 0 a differentiable zero.

        Raises:
            ValueError: if the head gives another number of channels than the loss asks for, or if
                the reduction is unknown.
        """
        reduction = self.check_reduction(reduction_override or self.reduction)
        self._check_channels(cls_score)
        logits = promoted(cls_score)
        weight = None if weight is None else weight.to(logits.dtype)
        learns = self.training and torch.is_grad_enabled()
        if learns:
            with torch.no_grad():
                self.prepare(logits.detach(), labels, weight)
        loss = self.sample_losses(logits, labels, weight)
        if reduction != 'none':
            loss = loss.sum()
        if reduction == 'mean':
            # Not mmdet's helper: it adds an epsilon to the divisor, visible in the 8th digit.
            loss = loss / (max(labels.numel(), 1) if avg_factor is None else avg_factor)
        if learns:
            with torch.no_grad():
                self.observe(logits.detach(), labels, weight)
        return self.loss_weight * loss

    def _check_channels(self, cls_score: Tensor) -> None:
        if self.num_classes is None or cls_score.size(1) != self.num_channels:
            expected = 'as many as get_cls_channels() says, which the head has not asked' \
                if self.num_classes is None else \
                f'{self.num_channels}, for num_classes={self.num_classes}'
            raise ValueError(
                f'{type(self).__name__} expects logits of {expected}, got {cls_score.size(1)}. Set '
                'num_classes to that of the head, or use a head that asks its loss for the number '
                "of channels, such as Shared2FCBBoxHead; mmdet's DoubleConvFCBBoxHead, for one, "
                'always has num_classes + 1.')


class ObjectnessLoss(LongTailLoss):
    """Base of the losses on C sigmoid class channels plus one background channel."""

    extra_channels = objectness_channels = 1

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """Scores of Eq. (5): (N, C + 1), in [0, 1], background last."""
        return objectness_scores(cls_score)

    def get_accuracy(self, cls_score: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """See :class:`LongTailLoss`.

        The order of the classes is that of their logits, so the best one alone needs a score.
        """
        with torch.no_grad():
            best, predicted = cls_score[:, :-1].max(dim=1)
            scores = self.get_activation(torch.stack([best, cls_score[:, -1]], dim=1))
            predicted[scores[:, 1] > scores[:, 0]] = cls_score.size(1) - 1
            return dict(acc=100 * (predicted == labels).sum() / max(len(labels), 1))


def without_weightless(labels: Tensor, weight: Tensor | None, void: int) -> Tensor:
    """``labels``, (N,), with those of samples of weight 0 replaced by ``void``, which counts none.

    Args:
        labels: (N,), int64.
        weight: (N,), weight of each sample; None is 1.
        void: background, or another label that whoever counts leaves out.
    """
    return labels if weight is None else labels.masked_fill(weight == 0, void)


def one_hot_targets(labels: Tensor, like: Tensor) -> Tensor:
    """One-hot rows of ``labels``, with the shape, type and device of the logits ``like``."""
    return torch.zeros_like(like).scatter_(1, labels[:, None], 1)
