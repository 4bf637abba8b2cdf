"""Foreground classification balance loss (Eq. 6-9).

Shapes: N samples, C foreground classes; the last of the C + 1 channels is background, and so is
the label C.
"""
import torch
import torch.nn.functional as F
from bacl.ops import foreground_rows, group_by_class
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from torch import Tensor

from ..indicators import LongTermIndicator, short_term_indicator
from .base import ObjectnessLoss, one_hot_targets

# A logit at which sigmoid and loss of a negative, and so its gradient, are 0 in any precision, and
# which no margin changes.
NO_LOGIT = -1e30


def balance_margin(indicator: LongTermIndicator, labels: Tensor, alpha: float,
                   dtype: torch.dtype | None = None) -> Tensor:
    """Margins added to the logits of the competing classes (Eq. 7).

    ``margin[n, j] = alpha * log(l_j / l_i)`` for a foreground sample of class i = labels[n] and a
    competing class j; 0 for j = i, for the background channel and for background samples. A class
    j that dominates class i gets a positive margin and hence a larger suppression.

    Args:
        indicator: gives log(l_j / l_i).
        labels: (N,), int64 in [0, C].
        alpha: range of the margin, >= 0.
        dtype: of the result; None is the indicator's.

    Returns:
        (N, C + 1), without gradient.
    """
    # A margin depends on the class alone, and there are fewer classes than samples.
    classes, group = group_by_class(labels, indicator.num_classes)
    is_background = classes == indicator.num_classes
    margin = alpha * indicator.log_ratio(classes.clamp(max=indicator.num_classes - 1)).to(dtype)
    margin = margin.masked_fill_(is_background[:, None], 0)
    return F.pad(margin, (0, 1)).index_select(0, group)


def balance_weight(cls_score: Tensor, labels: Tensor, prob_thr: float | None,
                   above_true: bool = True) -> Tensor:
    """Which channels of a sample count (Eq. 9): those that confuse it.

    With p the short-term indicator and i the true class of a foreground sample, class j counts
    where ``p_j >= p_i`` or ``p_j >= prob_thr``; Table IX tries each criterion alone. The true
    class, the background channel and all channels of background samples always count.

    Args:
        cls_score: (N, C + 1), logits without margin.
        labels: (N,), int64 in [0, C].
        prob_thr: in [0, 1]; None leaves the second criterion out.
        above_true: False leaves the first criterion out.

    Returns:
        (N, C + 1), bool.
    """
    prob = short_term_indicator(cls_score)  # (N, C)
    labels = labels[:, None]
    is_background = labels == prob.size(1)
    true_label = labels.clamp(max=prob.size(1) - 1)
    # One comparison: a class counts from the lower of the two thresholds on.
    threshold = prob.gather(1, true_label) if above_true else torch.full_like(prob[:, :1], 2)
    if prob_thr is not None:
        threshold = threshold.clamp(max=prob_thr)
    confusing = prob >= threshold.masked_fill(is_background, -1)
    if not above_true:  # p_i >= p_i says it of the true class otherwise
        confusing.scatter_(1, true_label, True)
    return F.pad(confusing, (0, 1), value=True)


def fcbl_loss(cls_score: Tensor, labels: Tensor, margin: Tensor | None = None,
              active: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
    """Margin-adjusted, selectively counted binary cross entropy of every channel (Eq. 6 and 8).

    Only foreground samples have margins and weights, a quarter of the RoIs; ``rows`` spares them
    for the others. A negative that does not count has its logit replaced by one so low that its
    loss and gradient are 0.

    Args:
        cls_score: (N, C + 1), logits, float32 or float64.
        labels: (N,), int64 in [0, C].
        margin: (R, C + 1), of the type of the logits, see :func:`balance_margin`; None is 0.
        active: (R, C + 1), bool, see :func:`balance_weight`; None counts every channel.
        rows: (R,), the samples that ``margin`` and ``active`` belong to; None are all, R = N.

    Returns:
        (N, C + 1), unreduced loss.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Section III-D.
    """
    logits = cls_score
    if margin is not None or active is not None:
        rows = torch.arange(len(labels), device=labels.device) if rows is None else rows
        offset = cls_score.new_zeros(()) if margin is None else margin
        if active is not None:
            offset = torch.where(active, offset, NO_LOGIT)
        logits = cls_score.index_add(0, rows, offset)
    return F.binary_cross_entropy_with_logits(
        logits, one_hot_targets(labels, logits), reduction='none')


@MODELS.register_module()
class FCBL(ObjectnessLoss):
    """Foreground classification balance loss with its long-term indicator.

    For a foreground sample of class i (Eq. 6, 8)::

        loss = -log p_i - log(1 - p_bg) - sum_{j != i} w_j * log(1 - sigmoid(z_j + margin_ij))

    Background samples keep the plain sigmoid loss. With ``with_margin=False`` and
    ``with_weight=False`` it is :class:`ObjectnessBCELoss` (given the same ``avg_factor``, as heads
    do). The loss is divided by the number of samples; a sample contributes the sum over channels.

    The module owns its indicator. In training mode, *after* the loss, the indicator observes the
    samples, so a step is steered by what was known before it. In ``eval()`` no buffer changes.
    ``observe`` is a collective operation: every rank must call the loss in every step. mmdet's
    heads do, unless a rank has not a single RoI, which an RPN does not bring about.

    ``reweighting`` switches Eq. (9) off until its start epoch
    (:class:`~bacl.engine.hooks.ShortTermIndicatorHook`).

    Args:
        num_classes: C, > 0; must equal the ``num_classes`` of the head.
        alpha: range of the margins, >= 0 (0.85 in the paper).
        prob_thr: classes with this score or more count in any case, in [0, 1] (0.7 in the paper);
            None leaves this criterion of Eq. (9) out.
        above_true: classes that score at least as high as the true class count; False leaves this
            criterion of Eq. (9) out.
        with_margin: use Eq. (7).
        with_weight: use Eq. (9).
        indicator: config of a :class:`~bacl.models.indicators.LongTermIndicator`, without
            ``num_classes``.
        reduction: 'none', 'mean' or 'sum'.
        loss_weight: factor of the loss, >= 0.

    Raises:
        ValueError: if an argument is out of its range.
        TypeError: if ``indicator`` does not describe a long-term indicator.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Eq. (6)-(9).
    """

    def __init__(self, num_classes: int, alpha: float = 0.85, prob_thr: float | None = 0.7,
                 above_true: bool = True, with_margin: bool = True, with_weight: bool = True,
                 indicator: ConfigType = dict(type='ConfusionMatrix'),  # noqa: B006
                 reduction: str = 'mean', loss_weight: float = 1.0) -> None:
        super().__init__(num_classes, reduction, loss_weight)
        self.alpha = self.check('alpha', alpha, 'a number >= 0', lambda v: v >= 0)
        self.prob_thr = self.check('prob_thr', prob_thr, 'a number in [0, 1] or None',
                                   lambda v: v is None or 0 <= v <= 1)
        self.above_true = above_true
        if with_weight and prob_thr is None and not above_true:
            raise ValueError('FCBL(prob_thr=None, above_true=False) leaves no criterion for the '
                             'weights of Eq. (9). Set one of them, or with_weight=False.')
        self.with_margin = with_margin
        self.with_weight = with_weight
        self.reweighting = with_weight
        self.indicator = MODELS.build(indicator, default_args=dict(num_classes=num_classes))
        if not isinstance(self.indicator, LongTermIndicator):
            raise TypeError(f'FCBL(indicator=) expects a long-term indicator such as '
                            f"dict(type='ConfusionMatrix'), got {type(self.indicator).__name__}.")
        # Counted for the log only, hence not in the checkpoint.
        self.register_buffer('num_active', torch.zeros((), dtype=torch.float64), persistent=False)
        self.register_buffer('num_negatives', torch.zeros((), dtype=torch.float64),
                             persistent=False)

    def forward(self, cls_score: Tensor, labels: Tensor, weight: Tensor | None = None,
                avg_factor: float | None = None, reduction_override: str | None = None) -> Tensor:
        """Loss of N samples; in training mode the indicator then observes them.

        Args:
            cls_score: (N, C + 1), logits.
            labels: (N,), int64 in [0, C]; C is background.
            weight: (N,), >= 0, weight of each sample's loss; None is 1. mmdet's heads pass ones.
            avg_factor: divisor of the sum under reduction 'mean'; None is N (at least 1).
            reduction_override: 'none', 'mean' or 'sum' instead of the configured reduction.

        Returns:
            A scalar, or (N, C + 1) for reduction 'none'. For N = 0 a differentiable zero.
        """
        avg_factor = max(labels.numel(), 1) if avg_factor is None else avg_factor
        # Exponentials of logits and margins overflow or vanish in half precision.
        logits = cls_score.to(torch.promote_types(cls_score.dtype, torch.float32))
        rows = foreground_rows(labels, self.num_classes)
        foreground, true_class = logits.detach().index_select(0, rows), labels.index_select(0, rows)
        margin = active = None
        if self.with_margin:
            margin = balance_margin(self.indicator, true_class, self.alpha, logits.dtype)
        if self.with_weight and self.reweighting:
            active = balance_weight(foreground, true_class, self.prob_thr, self.above_true)
        loss = fcbl_loss(logits, labels, margin, active, rows)
        loss = self.reduce(loss, weight, avg_factor, reduction_override)
        if self.training:
            self._count_active_negatives(true_class, active)
            self.indicator.observe(foreground, true_class)
        return loss

    def _count_active_negatives(self, labels: Tensor, active: Tensor | None) -> None:
        num_foreground = (labels < self.num_classes).sum()
        num_negatives = num_foreground * (self.num_classes - 1)
        if active is None:
            num_active = num_negatives
        else:
            # Without the background samples' C + 1 and, per foreground sample, the true class
            # and the background channel, which always count.
            num_background = labels.numel() - num_foreground
            num_active = active.sum() - num_background * (self.num_classes + 1) \
                - num_foreground * 2
        self.num_active += num_active
        self.num_negatives += num_negatives

    def pop_active_share(self) -> float:
        """Share of the negatives of foreground samples that counted since the last call.

        Returns:
            In [0, 1]; NaN if there was no foreground sample. This rank's samples only.
        """
        share = (self.num_active / self.num_negatives).item()
        self.num_active.zero_()
        self.num_negatives.zero_()
        return share
