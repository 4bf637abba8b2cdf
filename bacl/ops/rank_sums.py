"""Exchange between the ranks about the classes of a step: rows of present classes only.

Shapes: W ranks, K classes present on a rank, C classes.
"""
import torch
from mmengine.dist import all_gather, get_world_size
from torch import Tensor


def gather_rows(classes: Tensor, rows: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The rows of all ranks, for the classes that each of them has.

    A collective operation: every rank calls it, also without classes. What travels are the rows of
    the rank with the most classes times W, whatever C is. With more than one rank the host waits
    once, to learn that number; with one rank nothing travels and nothing is waited for.

    Args:
        classes: (K,), int64 in [0, C), below 2**24; groups that no sample is in come last.
        rows: (K, D + 1), float32 or float64, the last column the number of samples.

    Returns:
        Of each rank, in their order, the classes and the rows. Groups that no sample is in may be
        among them, with zeros.

    Raises:
        ValueError: if the rows are in half precision, in which class numbers are not exact.
    """
    if rows.dtype not in (torch.float32, torch.float64):
        raise ValueError(f'gather_rows(rows=) expects float32 or float64, got {rows.dtype}.')
    if get_world_size() == 1:
        return [(classes, rows)]
    num_present = (rows[:, -1] > 0).sum()
    num_sent = int(torch.stack(all_gather(num_present)).max())
    # One message instead of two: as a number in the first column, the class is exact.
    message = rows.new_zeros(num_sent, rows.size(1) + 1)
    num_own = min(num_sent, len(classes))
    message[:num_own, 0] = classes[:num_own].to(rows.dtype)
    message[:num_own, 1:] = rows[:num_own]
    return [(received[:, 0].long(), received[:, 1:]) for received in all_gather(message)]
