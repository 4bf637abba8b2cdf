"""The confusion matrix as long-term indicator (Table II, last row)."""
import torch
from bacl.ops import foreground_rows
from mmdet.registry import MODELS
from torch import Tensor

from .base import MIN_SCORE, LongTermIndicator
from .class_sums import add_class_sums


@MODELS.register_module()
class ConfusionMatrix(LongTermIndicator):
    """Mean softmax of the foreground logits, per true class, over all samples seen so far.

    With z the C foreground logits of sample n and i its true class (row)::

        M[i, j] = sum_n softmax(z_n)[j] * [y_n = i] / sum_n [y_n = i]

    With ``hard=True`` the class of the largest logit counts alone (Eq. 14): [argmax_k z_nk = j]
    takes the place of softmax(z_n)[j].

    In Eq. (7) l_j / l_i = M[i, j] / M[j, i], entries clamped at 1e-3 from below, so that two
    classes that were never confused have margin 0; in Eq. (12) l_i = M[i, i]. Rows of classes that
    were seen sum to 1. The row of a class i never seen is 0: its strength is 0, its log-ratios are
    log(1e-3 / max(M[j, i], 1e-3)) <= 0, so other classes are suppressed less by its first samples.
    Nothing is forgotten: there is no decay. Order of the samples and their split into steps do not
    matter.

    The sums take 8 C**2 bytes: 12 MB for LVIS v1, 1.4 GB for the 13,204 classes of V3Det.
    ``dtype='float32'`` halves that. Every pair of classes is kept; what is lost are digits: an
    entry is rounded to 24 bits in every step, and no longer grows once it is 2**24 times what a
    step adds. The numbers of samples stay float64. An indicator with one number per class, such as
    :class:`TruePositiveRate`, takes 8 C bytes and knows no pairs.

    Args:
        num_classes: C, > 0.
        hard: count predicted classes instead of summing scores.
        dtype: of the sums, 'float64' or 'float32'.

    Raises:
        ValueError: if ``dtype`` is another.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Table II, Eq. (7), (12) and (14).

    Example:
        >>> import torch
        >>> indicator = ConfusionMatrix(num_classes=2)
        >>> logits = torch.tensor([[0., 0., 5.], [100., 0., 0.], [0., 0., 0.]])
        >>> indicator.observe(logits, torch.tensor([0, 0, 2]))  # label 2 is background
        >>> indicator.value().tolist()
        [[0.75, 0.25], [0.0, 0.0]]
    """

    def __init__(self, num_classes: int, hard: bool = False, dtype: str = 'float64') -> None:
        super().__init__(num_classes)
        self.hard = hard
        if dtype not in ('float64', 'float32'):
            raise ValueError("ConfusionMatrix(dtype=) expects 'float64' or 'float32', "
                             f'got {dtype!r}.')
        self.register_buffer('score_sum', torch.zeros(num_classes, num_classes,
                                                      dtype=getattr(torch, dtype)))
        self.register_buffer('num_samples', torch.zeros(num_classes, dtype=torch.float64))

    @torch.no_grad()
    def observe(self, logits: Tensor, labels: Tensor) -> None:
        """See :meth:`LongTermIndicator.observe`."""
        rows = foreground_rows(labels, self.num_classes)
        # Columns first: what is selected is then contiguous, and the softmax does not copy it.
        logits = logits[:, :self.num_classes]
        if len(rows) < len(labels):
            logits, labels = logits.index_select(0, rows), labels.index_select(0, rows)
        # float32 at least: a softmax over 1,203 classes in half precision loses the tail.
        dtype = torch.promote_types(logits.dtype, torch.float32)
        if self.hard:
            scores = torch.zeros_like(logits, dtype=dtype)
            scores.scatter_(1, logits.argmax(dim=1, keepdim=True), 1)
        else:
            scores = logits.softmax(dim=1, dtype=dtype)
        add_class_sums(self.score_sum, self.num_samples, scores, labels)

    def value(self) -> Tensor:
        """(C, C), row = true class, column = predicted class; rows sum to 1 or are 0."""
        return self.score_sum / self.num_samples.clamp(min=1)[:, None].to(self.score_sum.dtype)

    @torch.no_grad()
    def log_ratio(self, labels: Tensor) -> Tensor:
        """See :meth:`LongTermIndicator.log_ratio`."""
        num_samples = self.num_samples.clamp(min=1)
        towards_other = self.score_sum[labels] / num_samples[labels, None]  # M[i, j]: (N, C)
        towards_true = self.score_sum.t()[labels] / num_samples  # M[j, i]: (N, C)
        return (towards_other.clamp(min=MIN_SCORE) / towards_true.clamp(min=MIN_SCORE)).log()

    def strength(self) -> Tensor:
        """(C,), the diagonal: the mean score that samples of a class give to their own class."""
        return self.score_sum.diagonal() / self.num_samples.clamp(min=1)

    def reset(self) -> None:
        """Forget everything observed."""
        self.score_sum.zero_()
        self.num_samples.zero_()
