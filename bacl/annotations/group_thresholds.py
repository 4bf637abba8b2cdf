"""Groups of classes by number of training instances; by default the four of COCO-LT."""
from collections.abc import Sequence

import numpy as np

from .columns import is_integer

# The smallest numbers of training instances in groups 2, 3 and 4.
GROUP_THRESHOLDS = (20, 400, 8000)


def lt_groups(instance_count: Sequence[int],
              thresholds: Sequence[int] = GROUP_THRESHOLDS) -> np.ndarray:
    """Group of each class by its number of training instances.

    Group 1, of the fewest instances, lies below ``thresholds[0]``; group g > 1 begins with
    ``thresholds[g - 2]``.

    Args:
        instance_count: (C,), annotations of each class in the training set, crowds included.
        thresholds: G - 1 increasing numbers.

    Returns:
        (C,), int64, in [1, G].

    Reference:
        Wang et al., "The Devil is in Classification: A Simple Framework for Long-tail Instance
        Segmentation", arXiv:2007.11978.

    Example:
        >>> lt_groups([19, 20, 399, 400, 8000]).tolist()
        [1, 2, 2, 3, 4]
    """
    return np.searchsorted(thresholds, instance_count, side='right').astype(np.int64) + 1


def check_group_thresholds(thresholds: Sequence[int], owner: str) -> tuple[int, ...]:
    """Refuse thresholds that do not separate groups.

    Args:
        thresholds: the smallest numbers of training instances in groups 2, 3, ...
        owner: name of the class that has the argument ``group_thresholds``, for the message.

    Returns:
        The thresholds.

    Raises:
        ValueError: if there is none, or they are not increasing whole numbers above 0.
    """
    checked = tuple(thresholds) if np.ndim(thresholds) == 1 else ()
    if (not checked or not all(map(is_integer, checked)) or checked[0] < 1
            or list(checked) != sorted(set(checked))):
        raise ValueError(f'{owner}(group_thresholds=) expects increasing whole numbers above 0, '
                         f'got {thresholds}.')
    return checked
