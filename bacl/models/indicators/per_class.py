"""Bases of the indicators that know one number per class (Table II, dimension 1)."""
import torch
from torch import Tensor

from .base import MIN_SCORE, LongTermIndicator


class PerClassIndicator(LongTermIndicator):
    """An indicator whose statistic l is one number per class: l_j / l_i of Eq. (7) is its ratio.

    Attributes:
        floor: smallest statistic that a ratio is made of, > 0, so that its logarithm is finite.
    """

    floor: float

    @torch.no_grad()
    def log_ratio(self, labels: Tensor) -> Tensor:
        """See :meth:`LongTermIndicator.log_ratio`."""
        log_value = self.value().clamp(min=self.floor).log()
        return log_value - log_value[labels][:, None]


class PerClassCount(PerClassIndicator):
    """A number of occurrences, >= 0.

    A class that never occurred dominates as little as one that occurred once. Eq. (12), which needs
    l_i in [0, 1], gets the share of the largest count; the paper leaves the normalisation open, and
    Eq. (7) does not depend on it. Without any occurrence all strengths are 0.
    """

    floor = 1.0

    def strength(self) -> Tensor:
        """(C,), in [0, 1]: l_i / max_k l_k."""
        counts = self.value()
        return counts / counts.max().clamp(min=1)


class PerClassScore(PerClassIndicator):
    """A mean of scores, in [0, 1]: l_i of Eq. (12) as it is. Its floor is 1e-3."""

    floor = MIN_SCORE

    def strength(self) -> Tensor:
        """(C,), in [0, 1]: the statistic itself."""
        return self.value()
