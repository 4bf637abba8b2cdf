"""Random draws whose shapes do not depend on values: the host waits for nothing."""
import torch
from torch import Tensor


def draw_samples(is_candidate: Tensor, count: Tensor) -> Tensor:
    """Draw samples without replacement, for several purposes at once.

    Args:
        is_candidate: (G, N), bool: the samples that draw g is among.
        count: (G,), how many it takes; it takes all if there are fewer.

    Returns:
        (G, N), bool: the samples that draw g has taken. Draws are independent.
    """
    order = torch.rand(is_candidate.shape, device=is_candidate.device)
    rank = order.masked_fill(~is_candidate, 2).argsort(dim=1).argsort(dim=1)
    return is_candidate & (rank < count[:, None])
