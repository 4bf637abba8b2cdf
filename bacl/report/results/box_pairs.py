"""IoU of detections with the objects they can belong to, without one matrix per image."""
from collections.abc import Iterator

import numpy as np

# Pairs whose IoU is computed at once: 100 MB.
_PAIRS_AT_ONCE = 1 << 20


def iterate_pairs(boxes: np.ndarray, keys: np.ndarray, object_boxes: np.ndarray,
                  object_keys: np.ndarray, is_crowd: np.ndarray | None = None
                  ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs of detections and objects with the same key, such as their image.

    Args:
        boxes: (N, 4), (x, y, w, h) in pixels.
        keys: (N,), int64.
        object_boxes: (G, 4).
        object_keys: (G,), int64.
        is_crowd: (G,), bool; for a crowd the union is the detection alone. None is for no crowds.

    Yields:
        Index of the detection (P,), index of the object (P,) and their IoU (P,), with the pairs of
        a detection in one part, detections rising and objects in rising order within each.
    """
    order = np.argsort(object_keys, kind='stable')
    sorted_keys = object_keys[order]
    first = np.searchsorted(sorted_keys, keys, side='left')
    count = np.searchsorted(sorted_keys, keys, side='right') - first
    paired = np.flatnonzero(count)
    first, count = first[paired], count[paired]
    ends = np.cumsum(count)
    start = 0
    while start < len(paired):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _PAIRS_AT_ONCE)))
        lengths = count[start:stop]
        detection = np.repeat(paired[start:stop], lengths)
        # Place of each pair among those of its detection.
        place = np.arange(len(detection)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        found = order[np.repeat(first[start:stop], lengths) + place]
        crowd = is_crowd[found] if is_crowd is not None else np.zeros(len(found), dtype=bool)
        yield detection, found, box_iou(boxes[detection], object_boxes[found], crowd)
        start = stop


def box_iou(boxes: np.ndarray, object_boxes: np.ndarray, is_crowd: np.ndarray) -> np.ndarray:
    """IoU of pairs of boxes, in the operations of COCO's reference.

    Args:
        boxes: (P, 4), (x, y, w, h).
        object_boxes: (P, 4).
        is_crowd: (P,), bool.

    Returns:
        (P,), in [0, 1]; of a crowd the share of the detection that lies in it.
    """
    lower = np.maximum(boxes[:, :2], object_boxes[:, :2])
    upper = np.minimum(boxes[:, :2] + boxes[:, 2:], object_boxes[:, :2] + object_boxes[:, 2:])
    common = np.prod(np.maximum(upper - lower, 0), axis=1)
    area = boxes[:, 2] * boxes[:, 3]
    union = np.where(is_crowd, area,
                     area + object_boxes[:, 2] * object_boxes[:, 3] - common)
    return np.divide(common, union, out=np.zeros(len(boxes)), where=common > 0)
