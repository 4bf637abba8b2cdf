"""What the dynamic indicators add up in a step."""
import torch
from mmengine.dist import all_reduce
from torch import Tensor


def class_sums(values: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Sum of the samples' values and number of samples, per true class, over all ranks.

    A collective operation (one sum): every rank calls it, also without samples. There is no host
    synchronisation.

    Args:
        values: (N, K).
        labels: (N,), int64 in [0, C]; samples of background (C) are left out.
        num_classes: C.

    Returns:
        Sums (C, K) and counts (C,), float64, since float32 stops counting at 2**24.
    """
    # One row more than classes takes the background samples and is dropped: selecting the others
    # would be a host synchronisation. The last column counts.
    sums = torch.zeros(num_classes + 1, values.size(1) + 1, dtype=torch.float64,
                       device=values.device)
    sums[:, :-1].index_add_(0, labels, values.to(sums.dtype))
    sums[:, -1].index_add_(0, labels, torch.ones_like(labels, dtype=sums.dtype))
    sums = sums[:-1]
    all_reduce(sums)
    return sums[:, :-1], sums[:, -1]
