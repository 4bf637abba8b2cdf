"""Pairwise class balance (PCB): targets that a class shares with those it is mistaken for.

Shapes: N samples, C foreground classes, label C is background.
"""
import torch
import torch.nn.functional as F
from bacl.ops import foreground_rows, gather_rows, group_by_class, once_per_class, sum_by_class
from mmdet.registry import MODELS
from torch import Tensor, nn

from .base import without_weightless
from .equalization_v2 import EqualizationLossV2
from .seesaw import SynchronizedSeesawLoss, seesaw_logits
from .softmax_ce import SoftmaxCELoss


class MovingConfusionMatrix(nn.Module):
    """Confusion matrix of the classes, as an exponential moving average over training steps.

    In a step, with s the mean scores of the samples of class i, over all ranks::

        M[i] <- (1 - momentum) M[i] + momentum s

    and then, if rows are normalized, M[i] is divided by its sum, so that the first step of a class
    sets it to s. Rows of other classes stay. A row that no sample came for is 0.

    The buffer ``matrix`` (C, C), row = true class, is float64 and in the checkpoint.

    Args:
        num_classes: C, > 0.
        momentum: in (0, 1], weighs the new value.
        normalized: keep the sum of rows at 1, and take columns as shares of their sum.
    """

    def __init__(self, num_classes: int, momentum: float, normalized: bool) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.momentum = momentum
        self.normalized = normalized
        self.register_buffer('matrix', torch.zeros(num_classes, num_classes, dtype=torch.float64))

    @torch.no_grad()
    def observe(self, scores: Tensor, labels: Tensor) -> None:
        """Take the samples of a step into account; every rank calls it in every step.

        Args:
            scores: (N, C), in [0, 1], of the classes.
            labels: (N,), int64 in [0, C]; samples of background change nothing.
        """
        parts = gather_rows(*sum_by_class(scores, labels, self.num_classes))
        classes, group = group_by_class(torch.cat([part[0] for part in parts]), self.num_classes)
        sums = parts[0][1].new_zeros(len(classes), self.num_classes + 1)
        # Rank after rank, so that rounding is the same on all of them.
        for (_, rows), index in zip(parts, group.split([len(part[0]) for part in parts]),
                                    strict=True):
            sums.index_add_(0, index, rows)
        classes = classes.clamp(max=self.num_classes - 1)  # of void groups
        count = sums[:, -1:]
        mean = (sums[:, :-1] / count.clamp(min=1)).to(self.matrix)
        old = self.matrix.index_select(0, classes)
        new = old.lerp(mean, self.momentum)
        if self.normalized:
            new /= new.sum(dim=1, keepdim=True)
        # Added, not copied: a void group has a class that another group may have, too.
        self.matrix.index_add_(0, classes, (new - old).masked_fill(count == 0, 0))

    def soft_targets(self, labels: Tensor) -> Tensor:
        """What samples that are predicted as a class have been in truth.

        Args:
            labels: (N,), int64 in [0, C].

        Returns:
            (N, C), float64: the column of each label; of a label that nothing was predicted as, its
            one-hot vector; 0 for background.
        """
        return once_per_class(self._columns, labels, self.num_classes)

    def _columns(self, classes: Tensor) -> Tensor:
        columns = self.matrix.t().index_select(0, classes)
        total = columns.sum(dim=1, keepdim=True)
        columns = columns.scatter_add(1, classes[:, None], (total == 0).to(columns))
        return columns / total.masked_fill(total == 0, 1) if self.normalized else columns


class PairwiseBalanceMixin:
    """Makes the targets of a loss partly soft, by the confusion matrix of training so far.

    A sample of class y is to score, with the share a of its loss, as the samples have been that
    were predicted as y: in the column of y of a :class:`MovingConfusionMatrix`, a frequent class
    that takes over a rare one is large. So its own samples are taught to score higher for the rare
    class, which fights back.

    The matrix takes a step's samples in before their loss, those of weight 0 excepted, from the
    first step on. Soft targets begin in epoch ``soft_start``, which
    :class:`~bacl.engine.hooks.MethodHook` tells. In an
    :class:`~bacl.models.roi_heads.IterativeBBoxHead` their share rises from 0 in the first
    iteration to ``soft_share`` in the last; in other heads it is ``soft_share``.

    Differences from the official code (megvii-research/PCB): there soft targets never begin if a
    single class has no sample, a rank without foreground blocks the others, the matrix ignores
    sample weights, and the soft part of a softmax loss ignores them and ``avg_factor``.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        soft_share: largest share of the soft targets, in [0, 1] (alpha in the paper).
        soft_start: first epoch, counted from 0, with soft targets (16 of 24 in the paper: the first
            with a lower learning rate).
        momentum: weight of a step's scores in the confusion matrix, in (0, 1].
        **kwargs: of the loss.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        He et al., "Relieving Long-tailed Instance Segmentation via Pairwise Class Balance",
        CVPR 2022.
    """

    starts_empty = True
    normalized_confusion = True

    def __init__(self, num_classes: int | None = None, soft_share: float = 0.4,
                 soft_start: int = 16, momentum: float = 0.01, **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.soft_share = self.check('soft_share', soft_share, 'a number in [0, 1]',
                                     lambda v: 0 <= v <= 1)
        self.soft_start = self.check('soft_start', soft_start, 'an epoch >= 0', lambda v: v >= 0)
        self.momentum = self.check('momentum', momentum, 'a number in (0, 1]',
                                   lambda v: 0 < v <= 1)
        self.epoch, self.progress = 0, 1.0

    def init_state(self) -> None:
        """Declare the confusion matrix, beside the state of the loss."""
        super().init_state()
        self.confusion = MovingConfusionMatrix(self.num_classes, self.momentum,
                                               self.normalized_confusion)

    def start_epoch(self, epoch: int) -> None:
        """Take the number of the epoch, from 0."""
        self.epoch = epoch

    def set_iteration(self, iteration: int, num_iterations: int) -> None:
        """Take the iteration that the following samples come from.

        Args:
            iteration: from 0.
            num_iterations: > 1.
        """
        self.progress = iteration / (num_iterations - 1)

    @property
    def share(self) -> float:
        """Share of the soft targets in the loss, at present."""
        return self.soft_share * self.progress if self.epoch >= self.soft_start else 0.0

    def scalars(self) -> dict[str, float]:
        """``pairwise_balance/share``: see :attr:`share`."""
        return {'pairwise_balance/share': self.share}

    def class_scores(self, logits: Tensor) -> Tensor:
        """(N, C), scores of the classes from the logits (N, channels), for the confusion matrix."""
        return logits[:, :self.num_classes].softmax(dim=1)

    def prepare(self, logits: Tensor, labels: Tensor, weight: Tensor | None) -> None:
        """Show the samples to the confusion matrix."""
        super().prepare(logits, labels, weight)
        labels = without_weightless(labels, weight, self.num_classes)
        rows = foreground_rows(labels, self.num_classes)
        self.confusion.observe(self.class_scores(logits.index_select(0, rows)),
                               labels.index_select(0, rows))


@MODELS.register_module()
class PairwiseBalancedSoftmaxLoss(PairwiseBalanceMixin, SoftmaxCELoss):
    """Softmax loss with pairwise class balance.

    With p the softmax over classes and background, and q the column of the label y in the confusion
    matrix, divided by its sum, the loss of a foreground sample is::

        -(1 - a) log p_y + a KL(q || p)

    That of a background sample is -log p_background. See :class:`PairwiseBalanceMixin` for the
    arguments and for the share a, :class:`SoftmaxCELoss` for the channels and the scores.
    """

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(N,), see the class."""
        hard = super().elementwise(logits, labels)
        if not self.share:
            return hard
        rows = foreground_rows(labels, self.num_classes)
        labels = labels.index_select(0, rows)
        targets = self.confusion.soft_targets(labels).to(logits)
        log_score = logits.index_select(0, rows).log_softmax(dim=1)[:, :-1]
        soft = F.kl_div(log_score, targets, reduction='none').sum(dim=1)
        change = (soft - hard.index_select(0, rows)).masked_fill(labels == self.num_classes, 0)
        return hard.index_add(0, rows, change, alpha=self.share)


@MODELS.register_module()
class PairwiseBalancedEqualizationLossV2(PairwiseBalanceMixin, EqualizationLossV2):
    """Equalization loss v2 with pairwise class balance.

    The target of the classes for a foreground sample of label y is (1 - a) onehot(y) + a M[:, y],
    with M the confusion matrix of sigmoid scores, of which neither rows nor columns are normalized.
    Weights and collected gradients of :class:`EqualizationLossV2` come from these targets, too. See
    :class:`PairwiseBalanceMixin` for the arguments (``soft_share`` is 0.2 in the official code, in
    a head with ``norm_logits``) and for the share a.
    """

    normalized_confusion = False

    def __init__(self, num_classes: int | None = None, soft_share: float = 0.2, **kwargs) -> None:
        super().__init__(num_classes, soft_share, **kwargs)

    def class_scores(self, logits: Tensor) -> Tensor:
        """See :meth:`PairwiseBalanceMixin.class_scores`: sigmoids."""
        return logits[:, :self.num_classes].sigmoid()

    def targets(self, logits: Tensor, labels: Tensor) -> Tensor:
        """See :meth:`EqualizationLossV2.targets`."""
        hard = super().targets(logits, labels)
        if not self.share:
            return hard
        rows = foreground_rows(labels, self.num_classes)
        labels = labels.index_select(0, rows)
        soft = F.pad(self.confusion.soft_targets(labels).to(logits), (0, 1))
        change = (soft - hard.index_select(0, rows)).masked_fill(
            (labels == self.num_classes)[:, None], 0)
        return hard.index_add(0, rows, change, alpha=self.share)


@MODELS.register_module()
class PairwiseBalancedSeesawLoss(PairwiseBalanceMixin, SynchronizedSeesawLoss):
    """Seesaw loss with pairwise class balance.

    The class loss of a foreground sample is the cross entropy of the softmax of
    :func:`seesaw_logits`, with the share 1 - a for its label and a for the column of the label in
    the confusion matrix, divided by its sum. See :class:`PairwiseBalanceMixin` for the arguments
    (``soft_share`` is 0.05 in the official code) and for the share a.
    """

    def __init__(self, num_classes: int | None = None, soft_share: float = 0.05, **kwargs) -> None:
        super().__init__(num_classes, soft_share, **kwargs)

    def class_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """See :meth:`SynchronizedSeesawLoss.class_losses`."""
        if not self.share:
            return super().class_losses(logits, labels)
        logits = seesaw_logits(logits, labels, self.cum_samples[:-1], self.p, self.q, self.eps)
        soft = self.confusion.soft_targets(labels).to(logits)
        targets = torch.zeros_like(logits).scatter_(1, labels[:, None], 1).lerp(soft, self.share)
        return F.cross_entropy(logits, targets, reduction='none')
