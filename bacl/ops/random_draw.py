"""Random draws whose shapes do not depend on values: the host waits for nothing."""
import torch
from torch import Tensor


def draw_samples(is_candidate: Tensor, count: Tensor, at_random: bool = True) -> Tensor:
    """Draw samples without replacement, for several purposes at once.

    Args:
        is_candidate: (G, N), bool: the samples that draw g is among.
        count: (G,), how many it takes, >= 0; it takes all if there are fewer.
        at_random: False draws nothing.

    Returns:
        (G, N), float64: 1 for the samples that draw g has taken, else 0; where nothing is drawn,
        the mean over all draws. Draws are independent.
    """
    if not at_random:
        share = count / is_candidate.sum(dim=1, dtype=torch.float64)
        return is_candidate * share.clamp(max=1)[:, None].nan_to_num()
    order = torch.rand(is_candidate.shape, device=is_candidate.device)
    rank = order.masked_fill(~is_candidate, 2).argsort(dim=1).argsort(dim=1)
    return (is_candidate & (rank < count[:, None])).double()
