"""The draw of the classes that are hallucinated: the weaker, the likelier (Eq. 12)."""
import torch
from torch import Tensor


def class_probability(strength: Tensor) -> Tensor:
    """Sampling probability of every class, falling with its strength (Eq. 12)::

        sp_i = (1 - l_i) / sum_k (1 - l_k)

    If every class has strength 1, none is weaker than another: the distribution is uniform.

    Args:
        strength: (C,), in [0, 1].

    Returns:
        (C,), sums to 1.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Eq. (12).
    """
    weakness = (1 - strength).clamp(min=0)
    weakness = torch.where(weakness.sum() > 0, weakness, torch.ones_like(weakness))
    return weakness / weakness.sum()


def sample_classes(probability: Tensor, uniform: Tensor) -> Tensor:
    """Draw classes with replacement by inverting the cumulative distribution.

    The draws are inputs, so that the function is deterministic and needs no host synchronisation.

    Args:
        probability: (C,), sums to 1.
        uniform: (K,), draws from U[0, 1).

    Returns:
        (K,), int64 in [0, C), ascending: for each draw u the first class with cdf > u, which has
        a probability above 0.
    """
    cdf = probability.cumsum(0)
    classes = torch.searchsorted(cdf, uniform.to(cdf.dtype).sort().values, right=True)
    # The cumulated sum may round to just below 1, and a draw may fall above it.
    return classes.clamp(max=probability.numel() - 1)
