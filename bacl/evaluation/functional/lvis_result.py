"""The outcome of an LVIS evaluation."""
import numpy as np

from .frequency_groups import FREQUENCIES
from .grouped_result import GroupedResult


class LVISResult(GroupedResult):
    """Precision of every category, and its means over rare, common and frequent ones.

    Args:
        precision: as in :class:`GroupedResult`.
        categories: C dicts with ``id``, ``name`` and ``frequency``, by rising id.
    """

    def __init__(self, precision: np.ndarray, categories: list[dict]) -> None:
        groups = [category['frequency'] for category in categories]
        super().__init__(precision, categories, groups, FREQUENCIES)
