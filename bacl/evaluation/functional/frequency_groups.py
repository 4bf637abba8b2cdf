"""LVIS frequency groups: rare, common and frequent categories."""
from collections.abc import Sequence

import numpy as np
from bacl.datasets.annotations import FREQUENCIES

# Largest number of training images of a rare and of a common category.
_MAX_IMAGE_COUNT = (10, 100)


def frequency_groups(image_count: Sequence[int]) -> list[str]:
    """Group categories by the number of training images that show them.

    Rare: at most 10 images, common: 11 to 100, frequent: more than 100. These are the bounds of the
    ``frequency`` field stored in LVIS v0.5 and v1. Where an annotation file has that field, read it
    instead of counting: its validation file holds the counts of the training set.

    Args:
        image_count: (C,), images with the category, >= 0; a category never seen is rare.

    Returns:
        C entries of :data:`FREQUENCIES`.

    Raises:
        ValueError: if a count is negative.

    Example:
        >>> frequency_groups([0, 10, 11, 100, 101])
        ['r', 'r', 'c', 'c', 'f']
    """
    image_count = np.asarray(image_count)
    if (image_count < 0).any():
        raise ValueError(f'frequency_groups(image_count=) expects counts >= 0, '
                         f'got {image_count.min()}.')
    return [FREQUENCIES[i] for i in np.searchsorted(_MAX_IMAGE_COUNT, image_count)]


def group_mean(values: Sequence[float],
               groups: Sequence[str],
               names: Sequence[str] = FREQUENCIES) -> dict[str, float]:
    """Mean of per-category values in each group.

    A category whose value is NaN, one without ground truth, does not count. A group in which no
    category counts has mean NaN.

    Args:
        values: (C,), for instance the AP of each category.
        groups: (C,), the group of each category.
        names: groups to report.

    Returns:
        The mean of each group in ``names``.

    Raises:
        ValueError: if ``values`` and ``groups`` differ in length.

    Example:
        >>> group_mean([0.2, 0.4, float('nan'), 0.5], ['r', 'r', 'r', 'f'], names=('r', 'f'))
        {'r': 0.30000000000000004, 'f': 0.5}
    """
    values, groups = np.asarray(values, dtype=float), np.asarray(groups)
    if len(values) != len(groups):
        raise ValueError(f'group_mean(groups=) expects one group for each of the {len(values)} '
                         f'values, got {len(groups)}.')
    return {name: mean_of_known(values[groups == name]) for name in names}


def mean_of_known(values: np.ndarray) -> float:
    """Mean of the entries that are not NaN; NaN, without a warning, if there are none.

    Args:
        values: (N,), may hold NaN.

    Returns:
        The mean.
    """
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float('nan')
