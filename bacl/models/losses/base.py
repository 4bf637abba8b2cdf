"""The contract between a classification loss and mmdet's two-stage heads, in one place."""
from abc import ABC, abstractmethod
from typing import Any

import torch
from mmdet.models.losses import accuracy
from torch import Tensor, nn

from ..indicators import objectness_scores


class LongTailLoss(nn.Module, ABC):
    """A classification loss that says how its head's logits are counted, activated and judged.

    mmdet's heads ask a loss three questions through three flags, and read the flags crosswise
    (``custom_cls_channels`` also decides the activation at test time, ``custom_activation`` also
    the accuracy in training). So a loss answers all three or none; here it answers all three.
    Unless a subclass says otherwise, the classifier has one channel per class; what its logits
    mean every subclass must say.

    Args:
        num_classes: C, > 0; must equal the ``num_classes`` of the head.
        reduction: 'none', 'mean' or 'sum'.
        loss_weight: factor of the loss, >= 0.

    Raises:
        ValueError: if an argument is out of its range.
    """

    custom_cls_channels = True
    custom_activation = True
    custom_accuracy = True

    def __init__(self, num_classes: int, reduction: str = 'mean',
                 loss_weight: float = 1.0) -> None:
        super().__init__()
        self.num_classes = self.check(
            'num_classes', num_classes, 'a positive int',
            lambda v: isinstance(v, int) and v > 0)
        self.reduction = self.check_reduction(reduction)
        self.loss_weight = self.check(
            'loss_weight', loss_weight, 'a number >= 0', lambda v: v >= 0)

    def check(self, name: str, value: Any, expected: str, is_valid) -> Any:
        """Return ``value`` if ``is_valid(value)``; else raise a ValueError that names it."""
        if not is_valid(value):
            raise ValueError(f'{type(self).__name__}({name}=) expects {expected}, got {value!r}.')
        return value

    def check_reduction(self, reduction: str) -> str:
        """Return ``reduction`` if it is one of mmdet's three; else raise a ValueError."""
        return self.check('reduction', reduction, "'none', 'mean' or 'sum'",
                          lambda v: v in ('none', 'mean', 'sum'))

    def reduce(self, loss: Tensor, weight: Tensor | None, avg_factor: float | Tensor | None,
               reduction_override: str | None) -> Tensor:
        """Weigh the samples, reduce, and scale by ``loss_weight``.

        Args:
            loss: (N, channels).
            weight: (N,), weight of each sample; None is 1.
            avg_factor: divisor of the sum under 'mean'; None is the number of elements, at least 1.
            reduction_override: instead of the configured reduction, if not None.

        Returns:
            A scalar, or (N, channels) for 'none'.

        Raises:
            ValueError: if the reduction is unknown.
        """
        reduction = self.check_reduction(reduction_override or self.reduction)
        weight = None if weight is None else weight.to(loss.dtype)
        if reduction == 'none':
            return self.loss_weight * (loss if weight is None else loss * weight[:, None])
        num_elements = loss.numel()
        # Channels before samples: weighing the sums spares a pass over all elements. No matrix
        # product, which autocast would compute in half precision.
        loss = loss.sum() if weight is None else (loss.sum(dim=1) * weight).sum()
        if reduction == 'mean':
            # Not mmdet's helper: it adds an epsilon to the divisor, visible in the 8th digit.
            loss = loss / (max(num_elements, 1) if avg_factor is None else avg_factor)
        return self.loss_weight * loss

    def get_cls_channels(self, num_classes: int) -> int:
        """Number of outputs of the classifier of a head with ``num_classes`` classes: C.

        Raises:
            ValueError: if the head has another number of classes than the loss.
        """
        if num_classes != self.num_classes:
            raise ValueError(f'{type(self).__name__}(num_classes={self.num_classes}) is used in a '
                             f'head with num_classes={num_classes}; set both to the same number.')
        return num_classes

    @abstractmethod
    def get_activation(self, cls_score: Tensor) -> Tensor:
        """(N, channels) logits to (N, C + 1) scores in [0, 1], background last."""

    def get_accuracy(self, cls_score: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """``acc``: share of samples whose highest score is at their label, in percent."""
        with torch.no_grad():
            return dict(acc=accuracy(self.get_activation(cls_score), labels))

    @abstractmethod
    def forward(self, cls_score: Tensor, labels: Tensor, weight: Tensor | None = None,
                avg_factor: float | None = None, reduction_override: str | None = None) -> Tensor:
        """The loss of a batch of samples."""


class ObjectnessLoss(LongTailLoss):
    """Base of the losses on C sigmoid class channels plus one background channel."""

    def get_cls_channels(self, num_classes: int) -> int:
        """C + 1; see :meth:`LongTailLoss.get_cls_channels`."""
        return super().get_cls_channels(num_classes) + 1

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """Scores of Eq. (5): (N, C + 1), in [0, 1], background last."""
        return objectness_scores(cls_score)


def one_hot_targets(labels: Tensor, like: Tensor) -> Tensor:
    """One-hot rows of ``labels``, with the shape, type and device of the logits ``like``."""
    return torch.zeros_like(like).scatter_(1, labels[:, None], 1)
