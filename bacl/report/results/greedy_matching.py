"""Greedy matching of detections with objects, for all images and classes at once."""
import numpy as np


def match_greedily(detection: np.ndarray, found: np.ndarray, iou: np.ndarray, keys: np.ndarray,
                   is_ignored: np.ndarray, is_crowd: np.ndarray,
                   thresholds: np.ndarray) -> np.ndarray:
    """Give each detection, by falling score, the best object that no earlier one has.

    As in COCO and LVIS: among the free objects of its image and class with an IoU at the threshold
    or above, those that count come before ignored ones; then the largest IoU wins, of equal ones
    the later object. Crowds stay free.

    All images and classes take a turn together: first their best detection, then their second.

    Args:
        detection: (P,), index of the detection of each candidate pair, rising; of two detections of
            an image and class the first is the one with the higher score.
        found: (P,), index of the object; rising within a detection.
        iou: (P,).
        keys: (N,), int64, of each detection: equal for those of one image and class.
        is_ignored: (G,), bool, of each object.
        is_crowd: (G,), bool.
        thresholds: (T,), IoU, > 0.

    Returns:
        (N, T), int32, index of the object; -1 for none.
    """
    matched = np.full((len(keys), len(thresholds)), -1, dtype=np.int32)
    possible = iou >= thresholds.min()
    detection, found, iou = detection[possible], found[possible], iou[possible]
    if not len(detection):
        return matched
    turn = _turns(detection, keys)
    # Later is better within a detection: one maximum of positions is its choice.
    order = np.lexsort((found, iou, ~is_ignored[found], detection, turn))
    detection, found, iou, turn = (column[order] for column in (detection, found, iou, turn))
    is_taken = np.zeros((len(is_ignored), len(thresholds)), dtype=bool)
    borders = np.searchsorted(turn, np.arange(turn[-1] + 2))
    for start, stop in zip(borders[:-1], borders[1:], strict=True):
        rows = slice(start, stop)
        is_free = (iou[rows, None] >= thresholds) & ~is_taken[found[rows]]
        starts = np.flatnonzero(np.diff(detection[rows], prepend=-1))
        position = np.where(is_free, np.arange(start, stop)[:, None], -1)
        best = np.maximum.reduceat(position, starts, axis=0)  # (detections of this turn, T)
        row, threshold = np.nonzero(best >= 0)
        chosen = found[best[row, threshold]]
        matched[detection[rows][starts[row]], threshold] = chosen
        is_taken[chosen, threshold] = ~is_crowd[chosen]
    return matched


def _turns(detection: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Number of detections with pairs that come before, of the same image and class: (P,)."""
    unique, inverse = np.unique(detection, return_inverse=True)
    order = np.argsort(keys[unique], kind='stable')
    sorted_keys = keys[unique][order]
    turn = np.empty(len(unique), dtype=np.int64)
    turn[order] = np.arange(len(unique)) - np.searchsorted(sorted_keys, sorted_keys)
    return turn[inverse]
