"""Foreground classification balance loss (Eq. 6-9).

Shapes: N samples, C foreground classes; the last of the C + 1 channels is background, and so is
the label C.
"""
import torch
import torch.nn.functional as F
from bacl.ops import foreground_rows, once_per_class
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from torch import Tensor

from ..indicators import LongTermIndicator, build_indicator, short_term_indicator
from .base import ObjectnessLoss, without_weightless
from .objectness_bce import objectness_bce_loss

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
    return once_per_class(
        lambda classes: F.pad(alpha * indicator.log_ratio(classes).to(dtype), (0, 1)),
        labels, indicator.num_classes)


def balance_weight(logits: Tensor, labels: Tensor, prob_thr: float | None,
                   above_true: bool = True) -> Tensor:
    """Channels of a sample that count (Eq. 9): those that confuse it.

    With p the short-term indicator and i the true class of a foreground sample, class j counts
    where ``p_j >= p_i`` or ``p_j >= prob_thr``; Table IX tries each criterion alone. The true
    class, the background channel and all channels of background samples always count.

    Args:
        logits: (N, C + 1), without margin.
        labels: (N,), int64 in [0, C].
        prob_thr: in [0, 1]; None leaves the second criterion out.
        above_true: False leaves the first criterion out.

    Returns:
        (N, C + 1), bool.
    """
    prob = short_term_indicator(logits)  # (N, C)
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


def fcbl_loss(logits: Tensor, labels: Tensor, margin: Tensor, active: Tensor,
              rows: Tensor | None = None) -> Tensor:
    """Margin-adjusted, selectively counted binary cross entropy of every channel (Eq. 6 and 8).

    Args:
        logits: (N, C + 1), float32 or float64.
        labels: (N,), int64 in [0, C].
        margin: (R, C + 1), of the type of the logits; see :func:`balance_margin`.
        active: (R, C + 1), bool; see :func:`balance_weight`.
        rows: (R,), the samples that ``margin`` and ``active`` belong to; the others have no margin
            and all their channels count. None are all samples, R = N.

    Returns:
        (N, C + 1), unreduced loss.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Section III-D.
    """
    rows = torch.arange(len(labels), device=labels.device) if rows is None else rows
    # The logit of a negative that does not count becomes one whose loss and gradient are 0.
    logits = logits.index_add(0, rows, torch.where(active, margin, NO_LOGIT))
    return objectness_bce_loss(logits, labels)


@MODELS.register_module()
class FCBL(ObjectnessLoss):
    """Foreground classification balance loss with its long-term indicator.

    For a foreground sample of class i (Eq. 6, 8)::

        loss = -log p_i - log(1 - p_bg) - sum_{j != i} w_j * log(1 - sigmoid(z_j + margin_ij))

    Background samples keep the plain sigmoid loss. With ``with_margin=False`` and
    ``with_weight=False`` it is :class:`ObjectnessBCELoss`. A subclass may replace :meth:`margin`
    or :meth:`weight` by others.

    The module owns its indicator, which observes the samples of each step after their loss; see
    :meth:`LongTailLoss.observe`.

    ``reweighting`` switches Eq. (9) off until its start epoch
    (:class:`~bacl.engine.hooks.ShortTermIndicatorHook`).

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        alpha: range of the margins, >= 0 (0.85 in the paper).
        prob_thr: classes with this score or more count in any case, in [0, 1] (0.7 in the paper);
            None leaves this criterion of Eq. (9) out.
        above_true: classes that score at least as high as the true class count; False leaves this
            criterion of Eq. (9) out.
        with_margin: use Eq. (7).
        with_weight: use Eq. (9).
        indicator: config of a :class:`~bacl.models.indicators.LongTermIndicator`, without
            ``num_classes``.
        **kwargs: of :class:`LongTailLoss`.

    Raises:
        ValueError: if an argument is out of its range.
        TypeError: if ``indicator`` does not describe a long-term indicator.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Eq. (6)-(9).
    """

    def __init__(self, num_classes: int | None = None, alpha: float = 0.85,
                 prob_thr: float | None = 0.7, above_true: bool = True, with_margin: bool = True,
                 with_weight: bool = True,
                 indicator: ConfigType = dict(type='ConfusionMatrix'),  # noqa: B006
                 **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.alpha = self.check('alpha', alpha, 'a number >= 0', lambda v: v >= 0)
        self.prob_thr = self.check('prob_thr', prob_thr, 'a number in [0, 1] or None',
                                   lambda v: v is None or 0 <= v <= 1)
        self.above_true = above_true
        if with_weight and prob_thr is None and not above_true:
            raise ValueError('FCBL(prob_thr=None, above_true=False) leaves no criterion for the '
                             'weights of Eq. (9). Set one of them, or with_weight=False.')
        self.with_margin = with_margin
        self.with_weight = with_weight
        self.reweighting = True
        self.indicator_cfg = indicator

    def init_state(self) -> None:
        """Build the indicator."""
        self.indicator = build_indicator(self.indicator_cfg, self.num_classes, 'FCBL')
        # Counted for the log only, hence not in the checkpoint.
        for name in ('num_active', 'num_negatives'):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64), persistent=False)

    def margin(self, labels: Tensor, dtype: torch.dtype) -> Tensor:
        """(N, C + 1), margin of every channel (Eq. 7); see :func:`balance_margin`."""
        if not self.with_margin:
            return torch.zeros(len(labels), self.num_channels, dtype=dtype, device=labels.device)
        return balance_margin(self.indicator, labels, self.alpha, dtype)

    def weight(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(N, C + 1), bool, the channels that count (Eq. 9); see :func:`balance_weight`."""
        if not (self.with_weight and self.reweighting):
            return torch.ones_like(logits, dtype=torch.bool)
        return balance_weight(logits, labels, self.prob_thr, self.above_true)

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Eq. (6) and (8); see :func:`fcbl_loss`."""
        # Only foreground samples have margins and weights, a quarter of the RoIs.
        rows = foreground_rows(labels, self.num_classes)
        foreground, true_class = logits.detach().index_select(0, rows), labels.index_select(0, rows)
        active = self.weight(foreground, true_class)
        if self.training:
            self._count_active_negatives(true_class, active)
        return fcbl_loss(logits, labels, self.margin(true_class, logits.dtype), active, rows)

    def observe(self, logits: Tensor, labels: Tensor, weight: Tensor | None) -> None:
        """Show the samples that count to the indicator."""
        self.indicator.observe(logits, without_weightless(labels, weight, self.num_classes))

    def scalars(self) -> dict[str, float]:
        """``fcbl/active_negatives``: share of the negatives that counted since the last call.

        In [0, 1], over the foreground samples of this rank; NaN if there was none.
        """
        share = (self.num_active / self.num_negatives).item()
        self.num_active.zero_()
        self.num_negatives.zero_()
        return {'fcbl/active_negatives': share}

    def _count_active_negatives(self, labels: Tensor, active: Tensor) -> None:
        num_foreground = (labels < self.num_classes).sum()
        # Without the background samples' C + 1 and, per foreground sample, the true class and the
        # background channel, which always count.
        num_background = labels.numel() - num_foreground
        self.num_active += active.sum() - num_background * (self.num_classes + 1) \
            - num_foreground * 2
        self.num_negatives += num_foreground * (self.num_classes - 1)
