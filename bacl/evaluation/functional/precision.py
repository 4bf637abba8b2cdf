"""Precision of every category."""
from collections.abc import Sequence

import numpy as np

from ..matching import EncodedMasks, Matching
from .arguments import check_positive_int
from .detections import Detections
from .ground_truth import GroundTruth


def precision_by_category(category_ids: Sequence[int],
                          ground_truth: GroundTruth,
                          detections: Detections,
                          max_dets: int,
                          is_ignored_if_unmatched: np.ndarray | None = None) -> np.ndarray:
    """Interpolated precision of every category, evaluated one category at a time.

    Args:
        category_ids: C ids, rising.
        ground_truth: of these categories.
        detections: of these categories, with regions of the same kind; those of categories without
            ground truth are left out.
        max_dets: largest number of detections of one image and category, >= 1.
        is_ignored_if_unmatched: for each detection, equal for all of one image and category; None
            is for none.

    Returns:
        (10, 101, C, 4); see :class:`.grouped_result.GroupedResult`.

    Raises:
        ValueError: if ``max_dets`` is out of range, or regions are of different kinds.
    """
    check_positive_int(max_dets, 'precision_by_category(max_dets=)')
    kinds = [isinstance(of.region, EncodedMasks) for of in (ground_truth, detections)]
    if kinds[0] != kinds[1]:
        names = ['masks' if kind else 'boxes' for kind in kinds]
        raise ValueError(f'precision_by_category(detections=) expects {names[0]}, as the ground '
                         f'truth has, got {names[1]}.')
    if is_ignored_if_unmatched is None:
        is_ignored_if_unmatched = np.zeros(len(detections), dtype=bool)
    object_order, object_offsets = _by_category(ground_truth.category_id, category_ids)
    has_objects = np.diff(object_offsets) > 0
    kept = np.flatnonzero(has_objects[np.searchsorted(category_ids, detections.category_id)])
    order, offsets = _by_category(detections.category_id[kept], category_ids)
    order = kept[order]
    return Matching(
        objects={name: getattr(ground_truth, name)[object_order]
                 for name in ('image_id', 'area', 'is_crowd', 'region')},
        object_offsets=object_offsets,
        detections={
            **{name: getattr(detections, name)[order]
               for name in ('image_id', 'score', 'area', 'region')},
            'is_ignored_if_unmatched': is_ignored_if_unmatched[order],
        },
        detection_offsets=offsets,
        max_dets=max_dets).precision()


def _by_category(category_id: np.ndarray,
                 category_ids: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The stable order by category, and where each category starts in it."""
    order = np.argsort(category_id, kind='stable')
    # One behind the last id, so that the last category has an end.
    borders = [*category_ids, category_ids[-1] + 1] if len(category_ids) else [0]
    return order, np.searchsorted(category_id[order], borders)
