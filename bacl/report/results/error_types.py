"""Types of errors of a detector, and the cost of each, by frequency group."""
from dataclasses import replace

import numpy as np
import pandas as pd

from .average_precision import average_precision, group_averages
from .matches import Matches
from .nearest_objects import NearestObjects, nearest_objects

FOREGROUND_IOU, BACKGROUND_IOU = 0.5, 0.1
ERROR_TYPES = ('classification', 'localisation', 'both', 'duplicate', 'background', 'missed')


def error_types(matches: Matches) -> pd.DataFrame:
    """Count the errors of each type, and what AP50 would gain without them.

    Each wrong detection below the official cap has one type, the first that fits:

    - localisation: an object of its class lies under it, with IoU in [0.1, 0.5);
    - classification: an object of another class does, with IoU >= 0.5;
    - duplicate: an object of its class does with IoU >= 0.5, but a higher score has it;
    - background: no object does with an IoU above 0.1;
    - both: the rest, that is an object of another class with IoU in (0.1, 0.5).

    'missed' is every object that neither a right detection has nor a localisation or classification
    error points to. The gain of a type is the AP50 with its errors mended, one type at a time,
    minus AP50: a duplicate, a background or a both-error is removed; a classification error gets
    the class of the object and a localisation error its place, if no right detection has the object
    and no higher-scored error of the type points to it, and is removed otherwise; a missed object
    is no longer to be found. A class of which no object is left to be found has then, as in TIDE,
    AP50 0 if it still has wrong detections; without any nothing is wrong, and its AP50 is 1 (TIDE
    leaves it out of the mean). Gains of types do not sum to 1 - AP50.

    In LVIS a class is labelled in few images. A detection of a class that is not labelled in its
    image is unknown, not an error: it has no type, and an object under it alone counts as missed.
    The same holds for unmatched detections of a class that is not exhaustively annotated there.
    Objects to be ignored are neither found nor missed, and no detection is an error because of
    them.

    Args:
        matches: of a run.

    Returns:
        ``error``, ``group`` ('all' and the groups), ``gain_ap50`` in [0, 1] (mean over the classes
        of the group with objects), ``count`` (errors of detections of the group's classes; of
        'missed', objects of them). The gain of mended classes goes to the class that loses a wrong
        detection and to the one that gets a right one.

    Reference:
        Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020.
    """
    wrong, kind, nearest, is_missed = classify_errors(matches)
    before = average_precision(matches, ious=(0.5, ))[0]
    rows = []
    for number, name in enumerate(ERROR_TYPES):
        if name == 'missed':
            mended, counted = _without_objects(matches, is_missed), matches.objects.label[is_missed]
            after = average_precision(mended, ious=(0.5, ))[0]
            is_emptied = np.isnan(after) & ~np.isnan(before)
            has_wrong = np.bincount(matches.label[wrong], minlength=matches.num_classes) > 0
            after = np.where(is_emptied, ~has_wrong, after)
        else:
            chosen = kind == number
            target = {'classification': nearest.other, 'localisation': nearest.own}.get(name)
            mended = _mended(matches, wrong[chosen], None if target is None else target[chosen])
            counted = matches.label[wrong[chosen]]
            after = average_precision(mended, ious=(0.5, ))[0]
        count = np.bincount(counted, minlength=matches.num_classes)
        rows += [{'error': name, 'group': group, 'gain_ap50': float(gain),
                  'count': int(count.sum() if group not in matches.group_names
                               else count[matches.groups == group].sum())}
                 for group, gain in group_averages(after - before, matches).items()]
    return pd.DataFrame(rows)


def classify_errors(matches: Matches) -> tuple[np.ndarray, np.ndarray, NearestObjects, np.ndarray]:
    """The type of each wrong detection, and the missed objects; see :func:`error_types`.

    Args:
        matches: of a run.

    Returns:
        Index (n,) of the wrong detections below the cap, their type (n,) as a place in
        :data:`ERROR_TYPES`, the objects nearest to them, and which objects were missed (G,), bool.
    """
    counted = matches.is_counted
    wrong = np.flatnonzero(counted & ~matches.tp[:, 0] & ~matches.ignored[:, 0])
    near = nearest_objects(matches, wrong)
    kinds = [
        ('localisation', (near.own_iou >= BACKGROUND_IOU) & (near.own_iou < FOREGROUND_IOU)),
        ('classification', near.other_iou >= FOREGROUND_IOU),
        ('duplicate', near.own_iou >= FOREGROUND_IOU),
        ('background', np.maximum(near.own_iou, near.other_iou) <= BACKGROUND_IOU),
    ]
    kind = np.select([fits for _, fits in kinds],
                     [ERROR_TYPES.index(name) for name, _ in kinds], ERROR_TYPES.index('both'))
    is_missed = ~matches.objects.is_ignored
    is_missed[matches.object[counted & matches.tp[:, 0]]] = False
    for name, target in (('localisation', near.own), ('classification', near.other)):
        is_missed[target[kind == ERROR_TYPES.index(name)]] = False
    return wrong, kind, near, is_missed


def _mended(matches: Matches, rows: np.ndarray, target: np.ndarray | None) -> Matches:
    """The matches without some wrong detections, or with them on the objects they point to."""
    keep = matches.is_counted
    keep[rows] = False
    label, tp = matches.label.copy(), matches.tp[:, :1].copy()
    if target is not None:
        is_found = np.zeros(len(matches.objects.label), dtype=bool)
        is_found[matches.object[matches.is_counted & tp[:, 0]]] = True
        free = ~is_found[target]
        rows, target = rows[free], target[free]
        best = np.lexsort((rows, -matches.score[rows], target))
        best = best[np.flatnonzero(np.diff(target[best], prepend=-1))]
        rows, target = rows[best], target[best]
        keep[rows], tp[rows] = True, True
        label[rows] = matches.objects.label[target]
    order = np.lexsort((matches.image, -matches.score, label))
    order = order[keep[order]]
    return replace(
        matches, label=label[order], tp=tp[order],
        **{name: getattr(matches, name)[order] for name in (
            'image', 'score', 'box', 'index', 'rank', 'pair_rank', 'object', 'iou')},
        ignored=matches.ignored[order, :1])


def _without_objects(matches: Matches, is_missed: np.ndarray) -> Matches:
    objects = matches.objects
    return replace(matches, objects=replace(objects, is_ignored=objects.is_ignored | is_missed))
