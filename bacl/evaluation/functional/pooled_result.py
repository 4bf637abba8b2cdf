"""Precision over the detections of many categories together."""
from collections.abc import Sequence

import numpy as np

from ..matching import NUM_AREAS, NUM_IOUS, NUM_RECALLS, Matching
from .detections import Detections
from .ground_truth import GroundTruth
from .grouped_result import GroupedResult

# The pool of all categories, beside those of the groups.
ALL = 'all'


class PooledResult(GroupedResult):
    """Pooled AP: one curve of precision and recall for all categories, and one for each group.

    A detection is right if it is matched with an object of its image and category, as ever; but
    it is ranked among the detections of all categories. So scores have to mean the same in each,
    and a category weighs as much as it has objects.

    Args:
        precision: (10, 101, 1 + G, 4), as in :class:`.grouped_result.GroupedResult`, of all
            categories and of each group; NaN where there are no objects.
        group_names: G groups.

    Reference:
        Dave et al., "Evaluating Large-Vocabulary Object Detectors: The Devil is in the Details",
        arXiv:2102.01066, section 5.
    """

    def __init__(self, precision: np.ndarray, group_names: Sequence[str]) -> None:
        pools = [ALL, *group_names]
        super().__init__(precision, [{'id': pool, 'name': pool} for pool in pools], pools,
                         group_names)

    def overall(self, class_ap: np.ndarray) -> float:
        """AP of the pool of all categories."""
        return float(class_ap[0])

    @classmethod
    def of(cls, category_ids: Sequence[int], groups: Sequence[str], group_names: Sequence[str],
           ground_truth: GroundTruth, detections: Detections,
           is_ignored_if_unmatched: np.ndarray) -> 'PooledResult':
        """Evaluate detections.

        Of equal scores the one in the image of the lower id comes first, then the one of the lower
        category id, then the earlier.

        Args:
            category_ids: C ids, rising.
            groups: of each category.
            group_names: the groups to report.
            ground_truth: of these categories.
            detections: of these categories, with regions of the same kind; those of categories
                without ground truth count as errors, too.
            is_ignored_if_unmatched: (N,), bool, equal for all of one image and category.
        """
        category_ids, groups = np.asarray(category_ids), np.asarray(groups)
        both = (ground_truth, detections)
        category = [np.searchsorted(category_ids, of.category_id) for of in both]
        image = np.unique(np.concatenate([of.image_id for of in both]), return_inverse=True)[1]
        # To the engine a pair of image and category is an image, and the pool is a category.
        image = np.split(image, [len(ground_truth.image_id)])
        pairs = [i * len(category_ids) + c for i, c in zip(image, category, strict=True)]
        precision = np.empty((NUM_IOUS, NUM_RECALLS, 1 + len(group_names), NUM_AREAS))
        for pool, name in enumerate([ALL, *group_names]):
            is_member = (groups == name) | (name == ALL)
            objects, found = (np.flatnonzero(is_member[c]) for c in category)
            precision[:, :, pool] = Matching(
                objects=dict(image_id=pairs[0][objects],
                             **{field: getattr(ground_truth, field)[objects]
                                for field in ('area', 'is_crowd', 'region')}),
                object_offsets=np.array([0, len(objects)]),
                detections=dict(image_id=pairs[1][found],
                                is_ignored_if_unmatched=is_ignored_if_unmatched[found],
                                **{field: getattr(detections, field)[found]
                                   for field in ('score', 'area', 'region')}),
                detection_offsets=np.array([0, len(found)]),
                max_dets=len(detections) + 1).precision()[:, :, 0]
        return cls(precision, group_names)
