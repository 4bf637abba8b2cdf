"""The outcome of an evaluation, and the numbers read off it."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .frequency_groups import group_mean, mean_of_known

IOU_THRS = np.linspace(0.5, 0.95, 10)
AREAS = ('all', 'small', 'medium', 'large')


@dataclass(frozen=True)
class GroupedResult:
    """Precision of every category, and its means over all categories and over groups of them.

    Args:
        precision: (10, 101, C, 4), interpolated precision in [0, 1] at the IoU thresholds 0.50,
            0.55, ..., 0.95, the recalls 0.00, 0.01, ..., 1.00 and for objects of all, small, medium
            and large area. NaN for a category without ground truth of that area.
        categories: C dicts with ``id`` and ``name``, by rising id.
        groups: the group of each category.
        group_names: the groups to report; group g as ``AP{g}``.
    """
    precision: np.ndarray
    categories: list[dict]
    groups: Sequence[str]
    group_names: Sequence[str]

    def class_ap(self, iou: float | None = None, area: str = 'all') -> np.ndarray:
        """AP of each category.

        Args:
            iou: one of the ten thresholds; None is the mean over all.
            area: 'all', 'small', 'medium' or 'large'.

        Returns:
            (C,), in [0, 1]; NaN for a category without ground truth.

        Raises:
            ValueError: if ``iou`` or ``area`` is not among those evaluated.
        """
        if area not in AREAS:
            raise ValueError(
                f'{type(self).__name__}.class_ap(area=) expects one of {AREAS}, got {area}.')
        precision = self.precision[..., AREAS.index(area)]  # (10, 101, C)
        if iou is not None:
            # Thresholds are compared with a tolerance: 0.05 steps are not exact in binary.
            chosen = np.isclose(IOU_THRS, iou)
            if not chosen.any():
                raise ValueError(f'{type(self).__name__}.class_ap(iou=) expects one of '
                                 f'{IOU_THRS.round(2).tolist()}, got {iou}.')
            precision = precision[chosen]
        return precision.mean(axis=(0, 1))

    def overall(self, class_ap: np.ndarray) -> float:
        """Mean over all categories that have ground truth; NaN without one."""
        return mean_of_known(class_ap)

    def summary(self) -> dict[str, float]:
        """Means over the categories that have ground truth.

        Returns:
            AP, AP50, AP75, APs, APm, APl and the AP of each group, in [0, 1], unrounded; NaN where
            no category has ground truth.
        """
        by_group = group_mean(self.class_ap(), self.groups, self.group_names)
        return {
            'AP': self.overall(self.class_ap()),
            'AP50': self.overall(self.class_ap(iou=0.5)),
            'AP75': self.overall(self.class_ap(iou=0.75)),
            'APs': self.overall(self.class_ap(area='small')),
            'APm': self.overall(self.class_ap(area='medium')),
            'APl': self.overall(self.class_ap(area='large')),
            **{f'AP{group}': ap for group, ap in by_group.items()},
        }
