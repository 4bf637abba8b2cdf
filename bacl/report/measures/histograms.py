"""Histograms of a property of objects within each frequency group."""
import numpy as np


def grouped_histogram(values: np.ndarray, edges: np.ndarray, group: np.ndarray,
                      num_groups: int) -> np.ndarray:
    """Number of objects of each group in each bin; what lies outside counts in the nearest bin.

    Args:
        values: (M,), NaN does not count.
        edges: (B + 1,), rising; bin b is [edges[b], edges[b + 1]).
        group: (M,), int64 in [0, G), of each object.
        num_groups: G.

    Returns:
        (G, B), int64.
    """
    num_bins = len(edges) - 1
    bins = (np.searchsorted(edges, values, side='right') - 1).clip(0, num_bins - 1)
    cells = (group * num_bins + bins)[~np.isnan(values)]
    return np.bincount(cells, minlength=num_groups * num_bins).reshape(num_groups, num_bins)


def count_bins(values: np.ndarray, max_bins: int = 25) -> tuple[np.ndarray, list[str]]:
    """Bins for whole numbers with a long tail.

    The bins have one width, and the last takes all that is beyond the 99.5th percentile.

    Args:
        values: (N,), int64 >= 0, N > 0.
        max_bins: largest number of bins, > 1.

    Returns:
        The smallest number of each of B bins, (B,), from 0; and names such as '3', '4–7', '8+'.
    """
    end = int(np.quantile(values, 0.995)) + 1
    width = -(-end // (max_bins - 1))
    starts = np.arange(0, end + 1, width)
    if starts[-1] > values.max():  # nothing is beyond
        starts = starts[starts <= values.max()]
    names = [str(first) if width == 1 else f'{first}–{first + width - 1}' for first in starts]
    if values.max() > starts[-1] + width - 1:
        names[-1] = f'{starts[-1]}+'
    return starts, names
