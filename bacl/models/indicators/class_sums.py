"""The sums that dynamic indicators add up in a step."""
from bacl.ops import gather_rows, sum_by_class
from torch import Tensor


def add_class_sums(sums: Tensor, counts: Tensor, values: Tensor, labels: Tensor) -> None:
    """Add the samples' values and their number to the sums of their classes, over all ranks.

    A collective operation: every rank calls it, also without samples. The samples of a step are
    summed in the precision of the values, steps in that of the sums.

    Args:
        sums: (C, D), changed in place.
        counts: (C,), changed in place.
        values: (N, D), floating point.
        labels: (N,), int64 in [0, C]; samples of background (C) are left out.
    """
    # Rank after rank, in which a class has one row each: however a GPU orders additions, the sums
    # are the same to the last bit on all ranks.
    for classes, rows in gather_rows(*sum_by_class(values, labels, len(counts))):
        sums.index_add_(0, classes, rows[:, :-1].to(sums.dtype))
        counts.index_add_(0, classes, rows[:, -1].to(counts.dtype))
