"""AP of every class from matches: of a part of the detections, or with weights of the images.

B: number of sets of weights. T: IoU thresholds. I: images. C: classes.
"""
from collections.abc import Sequence

import numpy as np
from bacl.evaluation.functional.grouped_result import IOU_THRS

from .matches import Matches

_RECALLS = np.linspace(0, 1, 101)
# The mean over all classes, among the groups.
ALL = 'all'


class AveragePrecision:
    """AP as a function of the weights of images; what does not depend on them is prepared.

    An image with weight 2 counts as two images with the same objects and detections. Precision is
    largest just after a right detection, so that only those are looked at.

    Args:
        matches: N detections.
        keep: (N,), bool, the detections that count. None is for those below the official cap.
        ious: some of the ten thresholds.

    Raises:
        ValueError: if an IoU is not among them.
    """

    def __init__(self, matches: Matches, keep: np.ndarray | None = None,
                 ious: Sequence[float] = IOU_THRS) -> None:
        rows = np.flatnonzero(matches.is_counted if keep is None else keep)
        label = matches.label[rows]
        self._image = matches.image[rows]
        self._num_classes = matches.num_classes
        objects = matches.objects
        counts = ~objects.is_ignored
        order = np.argsort(objects.label[counts], kind='stable')
        self._object_image = objects.image[counts][order]
        self._object_starts = np.searchsorted(objects.label[counts][order],
                                              np.arange(matches.num_classes + 1))
        class_starts = np.searchsorted(label, np.arange(matches.num_classes))
        self._curves = []
        for iou in ious:
            threshold = threshold_index(iou)
            right = np.flatnonzero(matches.tp[rows, threshold])
            ignored = np.flatnonzero(matches.ignored[rows, threshold])
            classes, first = np.unique(label[right], return_index=True)
            self._curves.append(dict(
                right=right, ignored=ignored, label=label[right], classes=classes, first=first,
                start=class_starts[label[right]],
                first_of=np.repeat(first, np.diff(first, append=len(right))),
                ignored_before=np.searchsorted(ignored, right),
                ignored_at_start=np.searchsorted(ignored, class_starts[label[right]])))

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """AP of every class.

        Args:
            weights: (B, I), >= 0.

        Returns:
            (B, T, C), in [0, 1]; NaN for a class without objects of positive weight.
        """
        weights = np.asarray(weights, dtype=float)
        weight = weights[:, self._image]
        seen_before = _running_sum(weight)  # (B, N + 1)
        object_sum = _running_sum(weights[:, self._object_image])[:, self._object_starts]
        num_objects = np.diff(object_sum, axis=1)  # (B, C)
        result = np.stack([self._one(curve, weight, seen_before, num_objects)
                           for curve in self._curves], axis=1)
        return np.where(num_objects[:, None] > 0, result, np.nan)

    def _one(self, curve: dict[str, np.ndarray], weight: np.ndarray, seen_before: np.ndarray,
             num_objects: np.ndarray) -> np.ndarray:
        """AP at one threshold: (B, C), 0 for classes without a right detection."""
        result = np.zeros_like(num_objects)
        right, label, first = curve['right'], curve['label'], curve['first']
        if not len(right):
            return result
        ignored = _running_sum(weight[:, curve['ignored']])
        hits = _running_sum(weight[:, right])  # (B, R + 1)
        hits = hits[:, 1:] - hits[:, curve['first_of']]
        seen = (seen_before[:, right + 1] - seen_before[:, curve['start']]
                - ignored[:, curve['ignored_before']] + ignored[:, curve['ignored_at_start']])
        precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
        wanted = num_objects[:, label]
        recall = np.divide(hits, wanted, out=np.zeros_like(hits), where=wanted > 0)
        # Best precision from here to the end of the class. With an offset that grows towards the
        # first class, the running maximum starts anew in each.
        offset = 2. * (self._num_classes - label)
        best = np.maximum.accumulate((precision + offset)[:, ::-1], axis=1)[:, ::-1] - offset
        # Of the 101 recalls each belongs to the first detection that reaches it.
        reached = np.searchsorted(_RECALLS, recall, side='right')
        newly = np.diff(reached, axis=1, prepend=0)
        newly[:, first] = reached[:, first]
        result[:, curve['classes']] = np.add.reduceat(best * newly, first, axis=1) / len(_RECALLS)
        return result


def average_precision(matches: Matches, keep: np.ndarray | None = None,
                      image_weights: np.ndarray | None = None,
                      ious: Sequence[float] = IOU_THRS) -> np.ndarray:
    """AP of every class at each IoU, with 101-point interpolation as in COCO and LVIS.

    Args:
        matches: N detections.
        keep: (N,), bool, the detections that count, or None for those below the official cap: then
            AP is that of the evaluation. The mean over the first axis is AP at 0.50:0.95.
        image_weights: (I,), >= 0, how often each image counts; None is for once.
        ious: some of the ten thresholds.

    Returns:
        (T, C), in [0, 1]; NaN for a class without objects.

    Raises:
        ValueError: if an IoU is not among the ten.
    """
    weights = np.ones(matches.num_images) if image_weights is None else image_weights
    return AveragePrecision(matches, keep, ious)(np.asarray(weights)[None])[0]


def threshold_index(iou: float) -> int:
    """Place of an IoU among the ten thresholds.

    Args:
        iou: 0.5, 0.55, ..., 0.95.

    Raises:
        ValueError: if it is another.
    """
    # With a tolerance: 0.05 steps are not exact in binary.
    chosen = np.flatnonzero(np.isclose(IOU_THRS, iou))
    if not len(chosen):
        raise ValueError(f'threshold_index(iou=) expects one of {IOU_THRS.round(2).tolist()}, '
                         f'got {iou}.')
    return int(chosen[0])


def group_averages(values: np.ndarray, matches: Matches) -> dict[str, np.ndarray]:
    """Mean over all classes, and over each group.

    Args:
        values: (..., C); NaN does not count.
        matches: for the groups.

    Returns:
        (...,) for 'all' and each group; NaN where no class counts.
    """
    groups = {ALL: np.ones(matches.num_classes, dtype=bool),
              **{name: matches.groups == name for name in matches.group_names}}
    return {name: _mean(values[..., members]) for name, members in groups.items()}


def _mean(values: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _running_sum(values: np.ndarray) -> np.ndarray:
    """Sum of what comes before each place, and of all: (B, N + 1)."""
    result = np.zeros((len(values), values.shape[1] + 1))
    np.cumsum(values, axis=1, out=result[:, 1:])
    return result
