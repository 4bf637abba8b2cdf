"""The confusion matrix as long-term indicator (Table II, last row)."""
import torch
from mmdet.registry import MODELS
from mmengine.dist import all_reduce
from torch import Tensor

from .base import LongTermIndicator

# An entry of 0 would make the log-ratio of Eq. (7) infinite. With this floor a margin stays
# within alpha * log(1000), and two classes that were never confused have margin 0.
MIN_ENTRY = 1e-3


@MODELS.register_module()
class ConfusionMatrix(LongTermIndicator):
    """Mean softmax of the foreground logits, per true class, over all samples seen so far.

    With z the C foreground logits of sample n and i its true class (row)::

        M[i, j] = sum_n softmax(z_n)[j] * [y_n = i] / sum_n [y_n = i]

    In Eq. (7) l_j / l_i = M[i, j] / M[j, i], entries clamped at 1e-3 from below; in Eq. (12)
    l_i = M[i, i]. Rows of classes that were seen sum to 1. The row of a class i never seen is 0:
    its strength is 0, its log-ratios are log(1e-3 / max(M[j, i], 1e-3)) <= 0, so other classes
    are suppressed less by its first samples. Nothing is forgotten: there is no decay.

    Sums are kept in float64, since float32 stops counting at 2**24.

    Args:
        num_classes: C, > 0.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Table II, Eq. (7) and (12).

    Example:
        >>> import torch
        >>> indicator = ConfusionMatrix(num_classes=2)
        >>> logits = torch.tensor([[0., 0., 5.], [100., 0., 0.], [0., 0., 0.]])
        >>> indicator.observe(logits, torch.tensor([0, 0, 2]))  # label 2 is background
        >>> indicator.value().tolist()
        [[0.75, 0.25], [0.0, 0.0]]
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.register_buffer('score_sum',
                             torch.zeros(num_classes, num_classes, dtype=torch.float64))
        self.register_buffer('num_samples', torch.zeros(num_classes, dtype=torch.float64))

    @torch.no_grad()
    def observe(self, logits: Tensor, labels: Tensor) -> None:
        """See :meth:`LongTermIndicator.observe`."""
        dtype = self.score_sum.dtype
        # float32 at least: a softmax over 1,203 classes in half precision loses the tail.
        scores = logits[:, :self.num_classes].to(torch.promote_types(logits.dtype, torch.float32))
        # One row more than classes takes the background samples and is dropped, so that no
        # foreground selection (a host synchronisation) is needed. The last column counts.
        batch = torch.zeros(self.num_classes + 1, self.num_classes + 1, dtype=dtype,
                            device=logits.device)
        batch[:, :-1].index_add_(0, labels, scores.softmax(dim=1).to(dtype))
        batch[:, -1].index_add_(0, labels, torch.ones_like(labels, dtype=dtype))
        batch = batch[:-1].contiguous()
        all_reduce(batch)
        self.score_sum += batch[:, :-1]
        self.num_samples += batch[:, -1]

    def value(self) -> Tensor:
        """(C, C), row = true class, column = predicted class; rows sum to 1 or are 0."""
        return self.score_sum / self.num_samples.clamp(min=1)[:, None]

    @torch.no_grad()
    def log_ratio(self, labels: Tensor) -> Tensor:
        """See :meth:`LongTermIndicator.log_ratio`."""
        num_samples = self.num_samples.clamp(min=1)
        towards_other = self.score_sum[labels] / num_samples[labels, None]  # M[i, j]: (N, C)
        towards_true = self.score_sum.t()[labels] / num_samples  # M[j, i]: (N, C)
        return (towards_other.clamp(min=MIN_ENTRY) / towards_true.clamp(min=MIN_ENTRY)).log()

    def strength(self) -> Tensor:
        """(C,), the diagonal: the mean score that samples of a class give to their own class."""
        return self.score_sum.diagonal() / self.num_samples.clamp(min=1)

    def reset(self) -> None:
        """Forget everything observed."""
        self.score_sum.zero_()
        self.num_samples.zero_()
