"""Running mean and variance of the classifier's input features, per class (Eq. 11)."""
import torch
from mmengine.dist import all_reduce
from torch import Tensor, nn


def batch_moments(feats: Tensor, labels: Tensor,
                  num_classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Per-class mean and unbiased variance of the features of one step, over all ranks.

    A collective operation (two sums): every rank calls it, also without features. The variance is
    summed around the common mean, since the difference of two large sums would cancel.

    Args:
        feats: (N, D).
        labels: (N,), int64 in [0, C).
        num_classes: C.

    Returns:
        count (C,), mean (C, D) and variance (C, D). The variance of a class with one sample is 0;
        absent classes have zeros throughout.
    """
    num_feats = feats.size(1)
    sums = feats.new_zeros(num_classes, num_feats + 1)
    sums[:, :-1].index_add_(0, labels, feats)
    sums[:, -1].index_add_(0, labels, torch.ones_like(labels, dtype=feats.dtype))
    all_reduce(sums)
    count = sums[:, -1]
    mean = sums[:, :-1] / count.clamp(min=1)[:, None]
    squares = feats.new_zeros(num_classes, num_feats)
    squares.index_add_(0, labels, (feats - mean[labels]).square())
    all_reduce(squares)
    return count, mean, squares / (count - 1).clamp(min=1)[:, None]


class ClassFeatureDistribution(nn.Module):
    """Normal distribution with independent dimensions for the features of every class.

    A class seen for the first time takes the moments of the step; afterwards (Eq. 11)::

        mean <- (1 - momentum) * mean + momentum * batch mean
        var  <- (1 - momentum) * var  + momentum * batch variance

    ``momentum`` weighs the *new* value: it is 1 - beta of the paper. Classes absent from a step
    keep their moments. State: buffers ``mean`` (C, D), ``var`` (C, D) and ``is_known`` (C,), equal
    on all ranks and part of the checkpoint.

    Args:
        num_classes: C, > 0.
        num_feats: D, > 0.
        momentum: in (0, 1].

    Raises:
        ValueError: if ``momentum`` is out of range.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Eq. (11) and (13).
    """

    def __init__(self, num_classes: int, num_feats: int, momentum: float = 0.1) -> None:
        super().__init__()
        if not 0 < momentum <= 1:
            raise ValueError('ClassFeatureDistribution(momentum=) expects a number in (0, 1], '
                             f'got {momentum!r}.')
        self.num_classes = num_classes
        self.momentum = momentum
        self.register_buffer('mean', torch.zeros(num_classes, num_feats))
        self.register_buffer('var', torch.zeros(num_classes, num_feats))
        self.register_buffer('is_known', torch.zeros(num_classes, dtype=torch.bool))

    @torch.no_grad()
    def observe(self, feats: Tensor, labels: Tensor) -> None:
        """Move the moments towards those of one step. Collective: every rank calls it.

        Args:
            feats: (N, D), inputs of the classifier; N may be 0.
            labels: (N,), int64 in [0, C).
        """
        count, mean, var = batch_moments(feats.to(self.mean.dtype), labels, self.num_classes)
        is_present = count > 0
        # 0 leaves a class alone, 1 copies the moments of its first sight.
        rate = torch.full_like(count, self.momentum).masked_fill(~self.is_known, 1) * is_present
        self.mean.lerp_(mean, rate[:, None])
        self.var.lerp_(var, rate[:, None])
        self.is_known |= is_present

    def sample(self, labels: Tensor, noise: Tensor) -> Tensor:
        """Features drawn by the reparametrisation trick: ``mean + sqrt(var) * noise`` (Eq. 13).

        The paper multiplies by the symbol it calls variance; a draw from the distribution takes
        its root. Features may be negative although they follow a ReLU in the detector.

        Args:
            labels: (P,), int64 in [0, C): classes with known moments.
            noise: (P, D), standard normal.

        Returns:
            (P, D).
        """
        return self.mean[labels] + self.var[labels].sqrt() * noise
