"""The objects that a detection lies on best: one of its own class and one of another."""
from dataclasses import dataclass

import numpy as np

from .box_pairs import iterate_pairs
from .matches import Matches


@dataclass(frozen=True, eq=False)
class NearestObjects:
    """For each of n detections the best object of its class and of the others; crowds left out.

    Attributes:
        own: (n,), int64, index of the object; -1 for none with an IoU above 0. Of equals the first.
        own_iou: (n,), in [0, 1].
        other: (n,), int64, the same for classes other than the detection's.
        other_iou: (n,).
    """

    own: np.ndarray
    own_iou: np.ndarray
    other: np.ndarray
    other_iou: np.ndarray


def nearest_objects(matches: Matches, rows: np.ndarray) -> NearestObjects:
    """Find them.

    Args:
        matches: of a run.
        rows: (n,), index of the detections to look at.

    Returns:
        The objects, in the order of ``rows``.
    """
    objects = matches.objects
    real = np.flatnonzero(~objects.is_ignored)
    nearest, nearest_iou = np.full((2, len(rows)), -1), np.zeros((2, len(rows)))
    label = matches.label[rows]
    for detection, found, iou in iterate_pairs(matches.box[rows], matches.image[rows],
                                               objects.box[real], objects.image[real]):
        is_other = objects.label[real[found]] != label[detection]
        for kind in (0, 1):
            chosen = np.flatnonzero((is_other == kind) & (iou > 0))
            if not len(chosen):
                continue
            # The best comes first within its detection.
            order = chosen[np.lexsort((found[chosen], -iou[chosen], detection[chosen]))]
            best = order[np.flatnonzero(np.diff(detection[order], prepend=-1))]
            nearest[kind, detection[best]] = real[found[best]]
            nearest_iou[kind, detection[best]] = iou[best]
    return NearestObjects(nearest[0], nearest_iou[0], nearest[1], nearest_iou[1])
