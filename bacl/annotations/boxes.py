"""Boxes of annotations, by rule."""
from collections.abc import Sequence

import numpy as np

from .columns import flags, is_integer, number_rows, numbers
from .rules import (
    BAD_BOX,
    BOX_OUTSIDE,
    BOX_OVERHANG,
    CROWD,
    DUPLICATE_BOX,
    IGNORED,
    NEGATIVE_BOX,
    NORMALISED_BOX,
    SMALL_BOX,
    Rule,
)

_PIXEL = (0, 0, 1, 1)  # of an annotation without a box


class Boxes:
    """The boxes of A annotations, each under the first rule that applies.

    Args:
        images: of the file.
        annotations: of the file. A use that needs no boxes may come without them.
        image_ids: (A,), int64, and (A,), bool, whether an annotation's is none.
        category_ids: the same.

    Attributes:
        rules: per rule the positions of the annotations to which it is the first that applies.
        is_crowd: (A,), bool.
        is_ignored: (A,), bool.
        areas: (A,), float64, as annotated.
    """

    def __init__(self, images: Sequence[dict], annotations: Sequence[dict],
                 image_ids: tuple[np.ndarray, np.ndarray],
                 category_ids: tuple[np.ndarray, np.ndarray]) -> None:
        self.is_crowd, self.is_ignored = (
            flags([annotation.get(name, 0) for annotation in annotations])[0]
            for name in ('iscrowd', 'ignore'))
        boxes = number_rows([annotation.get('bbox', _PIXEL) for annotation in annotations], 4)
        self.areas = numbers([annotation.get('area', 1) for annotation in annotations])
        # (A, 2), width and height; NaN compares as False: no rule about the image applies.
        sizes = np.where(image_ids[1][:, None], np.nan, sizes_of(images, image_ids[0]))
        low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]  # (A, 2), x, y
        overlap = np.minimum(high, sizes) - np.maximum(low, 0)
        is_below_1 = (boxes[:, 2:] < 1).any(1)
        left = np.ones(len(annotations), dtype=bool)
        self.rules: dict[Rule, np.ndarray] = {}
        for rule, applies in (
                (BAD_BOX, np.isnan(boxes).any(1) | np.isnan(self.areas)),
                (NEGATIVE_BOX, (boxes[:, 2:] < 0).any(1)),
                (NORMALISED_BOX, is_below_1 & (boxes[:, 2:] > 0).all(1) & (low >= 0).all(1)
                 & (high <= 1).all(1)),
                (SMALL_BOX, is_below_1 | (self.areas <= 0)),
                (BOX_OUTSIDE, (overlap <= 0).any(1)),
                (IGNORED, self.is_ignored),
                (CROWD, self.is_crowd),
                (BOX_OVERHANG, ((low < -1) | (high > sizes + 1)).any(1))):
            self.rules[rule] = np.flatnonzero(left & applies)
            left &= ~applies
        if all('bbox' in annotation for annotation in annotations):
            self.rules[DUPLICATE_BOX] = _repeated_rows(np.column_stack(
                [image_ids[0], category_ids[0], boxes]))


def sizes_of(images: Sequence[dict], image_ids: np.ndarray) -> np.ndarray:
    """(A, 2), float64, width and height of the image of each annotation; NaN if not known."""
    known = {image['id']: (image['width'], image['height']) for image in images
             if is_integer(image['id']) and 'width' in image and 'height' in image
             and not is_bad_size(image)}
    sizes = np.array([*known.values(), (np.nan, np.nan)], dtype=np.float64)
    position = {image_id: i for i, image_id in enumerate(known)}
    return sizes[[position.get(image_id, -1) for image_id in image_ids.tolist()]]


def is_bad_size(image: dict) -> bool:
    """Tell if a side of an image is no whole number above 0; one that it lacks is not looked at."""
    return not all(is_integer(image[side]) and image[side] > 0
                   for side in ('width', 'height') if side in image)


def _repeated_rows(rows: np.ndarray) -> np.ndarray:
    """Positions, rising, of rows of (N, K) that are equal to an earlier one; NaN equals nothing."""
    order = np.lexsort(rows.T)
    rows = rows[order]
    return np.sort(order[1:][(rows[1:] == rows[:-1]).all(1)])
