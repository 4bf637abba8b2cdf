"""The cumulative instance number as long-term indicator (Table II)."""
import torch
from mmdet.registry import MODELS
from torch import Tensor

from .class_sums import add_class_sums
from .per_class import PerClassCount


@MODELS.register_module()
class CumulativeInstanceNumber(PerClassCount):
    """Number of samples of every class seen so far.

    With i the true class::

        N_i = sum_n [y_n = i]

    In Eq. (7) l_i = N_i, clamped at 1 from below; in Eq. (12) l_i = N_i / max_k N_k. It starts at
    0, and so does a class never seen: strength 0. Order of the samples and their split into steps
    do not matter.

    Args:
        num_classes: C, > 0.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Table II, Eq. (7) and (12).
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.register_buffer('num_samples', torch.zeros(num_classes, dtype=torch.float64))

    @torch.no_grad()
    def observe(self, logits: Tensor, labels: Tensor) -> None:
        """See :meth:`LongTermIndicator.observe`."""
        no_sums = self.num_samples.new_zeros(self.num_classes, 0)
        no_values = self.num_samples.new_zeros(len(labels), 0)
        add_class_sums(no_sums, self.num_samples, no_values, labels)

    def value(self) -> Tensor:
        """(C,), N."""
        return self.num_samples.clone()

    def reset(self) -> None:
        """Forget everything observed."""
        self.num_samples.zero_()
