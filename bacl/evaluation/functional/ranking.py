"""The highest scores of each image or category."""
import numpy as np


def top_scoring(keys: np.ndarray, scores: np.ndarray, number: int) -> np.ndarray:
    """Select the highest scores of each key; of equal ones the earlier.

    Args:
        keys: (N,), int, for instance the image or the category of each detection.
        scores: (N,), finite.
        number: how many of each key, >= 1.

    Returns:
        Indices, by key and falling score.
    """
    # lexsort is stable, so that equal scores keep their order, as in lvis-api.
    order = np.lexsort((-scores, keys))
    sorted_keys = keys[order]
    rank = np.arange(len(order)) - np.searchsorted(sorted_keys, sorted_keys)
    return order[rank < number]
