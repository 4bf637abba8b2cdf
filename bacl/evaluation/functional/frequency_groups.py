"""Means over LVIS's frequency groups: rare, common and frequent categories."""
from collections.abc import Sequence

import numpy as np
from bacl.annotations.lvis import FREQUENCIES


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
