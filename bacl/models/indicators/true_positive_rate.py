"""The true positive rate as long-term indicator (Table II)."""
import torch
from mmdet.registry import MODELS
from torch import Tensor

from .class_sums import add_class_sums
from .per_class import PerClassScore


@MODELS.register_module()
class TruePositiveRate(PerClassScore):
    """Share of the samples of every class that the classifier gets right, over all seen so far.

    With z the C foreground logits of sample n and i its true class::

        TPR_i = sum_n [argmax_k z_nk = i] * [y_n = i] / sum_n [y_n = i]

    The background logit has no vote: what counts is the competition of the foreground classes. It
    is the diagonal of ``ConfusionMatrix(hard=True)``.

    In Eq. (7) l_i = TPR_i, clamped at 1e-3 from below; in Eq. (12) l_i = TPR_i. It starts at 0, and
    so does a class never seen: strength 0. Order of the samples and their split into steps do not
    matter.

    Args:
        num_classes: C, > 0.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Table II, Eq. (7) and (12).
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.register_buffer('num_correct', torch.zeros(num_classes, dtype=torch.float64))
        self.register_buffer('num_samples', torch.zeros(num_classes, dtype=torch.float64))

    @torch.no_grad()
    def observe(self, logits: Tensor, labels: Tensor) -> None:
        """See :meth:`LongTermIndicator.observe`."""
        is_correct = logits[:, :self.num_classes].argmax(dim=1) == labels
        add_class_sums(self.num_correct[:, None], self.num_samples,
                       is_correct[:, None].to(self.num_correct.dtype), labels)

    def value(self) -> Tensor:
        """(C,), TPR, in [0, 1]."""
        return self.num_correct / self.num_samples.clamp(min=1)

    def reset(self) -> None:
        """Forget everything observed."""
        self.num_correct.zero_()
        self.num_samples.zero_()
