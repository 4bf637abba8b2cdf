"""Running mean and variance of the classifier's input features, per class (Eq. 11)."""
import torch
from bacl.ops import foreground_rows, gather_rows, group_by_class, sum_groups
from torch import Tensor, nn


def batch_moments(feats: Tensor, labels: Tensor, num_classes: int,
                  sync: bool = True) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean and unbiased variance of the features of one step, per present class, over all ranks.

    The variance is summed around the mean, since the difference of two large sums would cancel.

    Args:
        feats: (N, D), floating point.
        labels: (N,), int64 in [0, C]; samples of background (C) are left out.
        num_classes: C.
        sync: merge the moments of all ranks. Then it is a collective operation: every rank calls
            it, also without features. False takes those of this rank alone.

    Returns:
        Classes (K,), number of samples (K,), mean (K, D) and variance (K, D). The variance of a
        class with one sample is 0. With several ranks or on a GPU there may be groups without
        samples, of any class, with zeros throughout.
    """
    classes, group = group_by_class(labels, num_classes)
    is_void = (classes == num_classes)[:, None]  # background, or no sample at all
    classes = classes.clamp(max=num_classes - 1)
    count = sum_groups(feats.new_ones(len(feats), 1), group, len(classes)).masked_fill_(is_void, 0)
    mean = sum_groups(feats, group, len(classes)).div_(count.clamp(min=1))
    # index_select takes half the time of an index in brackets.
    deviation = mean.index_select(0, group).sub_(feats)
    squares = sum_groups(deviation.square_(), group, len(classes)).masked_fill_(is_void, 0)
    mean.masked_fill_(is_void, 0)
    if sync:
        parts = gather_rows(classes, torch.cat([mean, squares, count], dim=1))
        if len(parts) > 1:
            classes, count, mean, squares = merge_moments(parts, num_classes)
    return classes, count[:, 0], mean, squares.div_((count - 1).clamp(min=1))


def merge_moments(parts: list[tuple[Tensor, Tensor]],
                  num_classes: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Moments of samples of which those of several parts are known.

    Args:
        parts: classes (K_r,) of each part, each once, and rows (K_r, 2 D + 1): mean, squared
            deviations from it, number of samples.
        num_classes: C.

    Returns:
        Classes (K,), number of samples (K, 1), mean (K, D) and squared deviations from it (K, D).

    Reference:
        Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
        Variances", 1979.
    """
    classes, group = group_by_class(torch.cat([classes for classes, _ in parts]), num_classes)
    groups = group.split([len(classes) for classes, _ in parts])
    rows = [rows.split([(rows.size(1) - 1) // 2, (rows.size(1) - 1) // 2, 1], dim=1)
            for _, rows in parts]
    # Part after part, in which a class has one row each: the order of the additions, and with it
    # the last bit, is the same on all ranks.
    count = rows[0][2].new_zeros(len(classes), 1)
    mean, squares = rows[0][0].new_zeros(2, len(classes), rows[0][0].size(1))
    for group, (part_mean, _, part_count) in zip(groups, rows, strict=True):
        count.index_add_(0, group, part_count)
        mean.index_add_(0, group, part_mean * part_count)
    mean.div_(count.clamp(min=1))
    for group, (part_mean, part_squares, part_count) in zip(groups, rows, strict=True):
        shift = part_mean - mean[group]
        squares.index_add_(0, group, part_squares + part_count * shift.square())
    return classes.clamp(max=num_classes - 1), count, mean, squares


class ClassFeatureDistribution(nn.Module):
    """Normal distribution with independent dimensions for the features of every class.

    A class seen for the first time takes the moments of the step; afterwards (Eq. 11)::

        mean <- (1 - momentum) * mean + momentum * batch mean
        var  <- (1 - momentum) * var  + momentum * batch variance

    ``momentum`` weighs the *new* value: it is 1 - beta of the paper. Classes absent from a step
    keep their moments. State: buffers ``mean`` (C, D), ``var`` (C, D) and ``is_known`` (C,), in
    the checkpoint and, unless ``sync`` is off, equal on all ranks.

    Args:
        num_classes: C, > 0.
        num_feats: D, > 0.
        momentum: in (0, 1].
        sync: merge the moments of all ranks. False is what the official code does: every rank knows
            only the classes that it has met, and a checkpoint has those of the main rank. On 8
            ranks, a class with one training image is then known to half of them over 12 epochs,
            with ``sync`` to nearly all, and hallucinated about 1.9 times as often.

    Raises:
        ValueError: if ``momentum`` is out of range.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Eq. (11) and (13).
    """

    def __init__(self, num_classes: int, num_feats: int, momentum: float = 0.1,
                 sync: bool = True) -> None:
        super().__init__()
        if not 0 < momentum <= 1:
            raise ValueError('ClassFeatureDistribution(momentum=) expects a number in (0, 1], '
                             f'got {momentum!r}.')
        self.num_classes = num_classes
        self.momentum = momentum
        self.sync = sync
        self.register_buffer('mean', torch.zeros(num_classes, num_feats))
        self.register_buffer('var', torch.zeros(num_classes, num_feats))
        self.register_buffer('is_known', torch.zeros(num_classes, dtype=torch.bool))

    @torch.no_grad()
    def observe(self, feats: Tensor, labels: Tensor) -> None:
        """Move the moments towards those of one step. With ``sync``, every rank calls it.

        Args:
            feats: (N, D), inputs of the classifier; N may be 0.
            labels: (N,), int64 in [0, C]; samples of background (C) are left out.
        """
        rows = foreground_rows(labels, self.num_classes)
        if len(rows) < len(labels):
            feats, labels = feats.index_select(0, rows), labels.index_select(0, rows)
        # Buffers may be in half precision, in which neither sums nor class numbers are exact.
        feats = feats.to(torch.promote_types(self.mean.dtype, torch.float32))
        classes, count, mean, var = batch_moments(feats, labels, self.num_classes,
                                                   self.sync)
        # 0 leaves a class alone, 1 copies the moments of its first sight.
        rate = torch.full_like(count, self.momentum).masked_fill_(~self.is_known[classes], 1)
        rate.mul_(count > 0)
        for state, new in ((self.mean, mean), (self.var, var)):
            change = new.sub_(state.index_select(0, classes)).mul_(rate[:, None])
            # Added, not copied: a class may have void groups besides its own.
            state.index_add_(0, classes, change.to(state.dtype))
        self.is_known |= count.new_zeros(self.num_classes).index_add_(0, classes, count) > 0

    def sample(self, classes: Tensor, noise: Tensor) -> Tensor:
        """Features drawn by the reparametrisation trick: ``mean + sqrt(var) * noise`` (Eq. 13).

        The paper multiplies by the symbol it calls variance; a draw from the distribution takes
        its root. Features may be negative although they follow a ReLU in the detector.

        Args:
            classes: (K,), int64 in [0, C): with known moments.
            noise: (K, m, D), standard normal.

        Returns:
            (K, m, D), m features of each class.
        """
        deviation = self.var.index_select(0, classes).sqrt_()
        return torch.addcmul(self.mean.index_select(0, classes)[:, None], deviation[:, None], noise)
