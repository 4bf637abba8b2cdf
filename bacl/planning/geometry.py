"""Sizes of images and anchors, from the sizes of images and objects."""
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from .detectors import Anchors

# Images are not enlarged by more; nothing is to be seen in what is interpolated.
MAX_ENLARGEMENT = 2.0
# Side of the median object, pixels, below which images are reduced less than the base does.
LEAST_OBJECT = 16
# The same for the small detector, and the largest image that it is given.
LEAST_OBJECT_SMALL, LARGEST_SMALL = 24, 640
# A box fits an anchor if their shapes overlap by this IoU, as the RPN's of positive samples do
# before it has learned.
FITTING_IOU = 0.5
# Part of the boxes that has to gain by other anchors.
LEAST_GAIN = 0.25
_STEP = 32  # pixels; the detector pads images to multiples of it


def rounded(pixels: float) -> int:
    """The nearest multiple of 32, at least one."""
    return max(_STEP, int(pixels / _STEP + 0.5) * _STEP)


def rounded_down(pixels: float) -> int:
    """The largest multiple of 32 that is no larger, at least one."""
    return max(_STEP, int(pixels) // _STEP * _STEP)


def median_sides(sizes: np.ndarray) -> tuple[float, float]:
    """Median of the long and of the short sides of (N, 2) widths and heights."""
    return float(np.median(sizes.max(1))), float(np.median(sizes.min(1)))


def median_object(boxes: np.ndarray) -> float:
    """Median of the square roots of the areas of (A, 2) widths and heights."""
    return float(np.median(np.sqrt(boxes.prod(1))))


def factors(sizes: np.ndarray, scale: tuple[int, int]) -> np.ndarray:
    """By how much images are enlarged, (N,), if they are fitted into a long and a short side."""
    return np.minimum(scale[0] / sizes.max(1), scale[1] / sizes.min(1))


def choose_scale(base: tuple[int, int], long_side: float, short_side: float, object_side: float,
                 max_pixels: float = np.inf) -> tuple[tuple[int, int], str]:
    """The largest long and short side of images, and why.

    Args:
        base: those of the base.
        long_side: median of the images, pixels.
        short_side: the same.
        object_side: median of the objects, pixels.
        max_pixels: of an image that the memory has room for.

    Returns:
        Long and short side; a sentence without its full stop.
    """
    factor = min(base[0] / long_side, base[1] / short_side)
    reason = (f'images are {long_side:.0f} x {short_side:.0f} in the median, half of the objects '
              f'smaller than {object_side:.0f} pixels')
    ratio = base[0] / base[1]
    if factor > MAX_ENLARGEMENT:
        factor = MAX_ENLARGEMENT
        reason += '; images are enlarged to the double at most'
    elif object_side * factor < LEAST_OBJECT and factor < 1:
        reason += f'; at {base[0]} x {base[1]} that would be {object_side * factor:.0f} pixels'
        factor = min(1.0, LEAST_OBJECT / object_side)
    else:
        factor = None
    scale = base if factor is None else (
        rounded(factor * max(long_side, ratio * short_side)), rounded(factor * short_side))
    if scale[0] * scale[1] > max_pixels:
        shrink = (max_pixels / (scale[0] * scale[1])) ** 0.5
        scale = tuple(rounded_down(side * shrink) for side in scale)
        reason += '; the memory has room for no larger image'
    found = object_side * min(scale[0] / long_side, scale[1] / short_side)
    return scale, f'{reason}; {found:.0f} after resizing'


def choose_small_scale(base: int, long_side: float, longest_side: float,
                       object_side: float) -> tuple[int, str]:
    """The side of images for the small detector, and why.

    Args:
        base: that of the base.
        long_side: median of the images, pixels.
        longest_side: of all images.
        object_side: median of the objects, pixels.
    """
    wanted = _STEP * int(np.ceil(LEAST_OBJECT_SMALL / object_side * long_side / _STEP))
    own = _STEP * int(np.ceil(longest_side / _STEP))
    side = max(base, min(wanted, own, LARGEST_SMALL))
    reason = (f'images are {long_side:.0f} pixels long in the median, half of the objects smaller '
              f'than {object_side:.0f} pixels, {object_side * side / long_side:.0f} at this size; '
              f'{LEAST_OBJECT_SMALL} are wanted, and {LARGEST_SMALL} pixels the most for a CPU')
    return side, reason


def fitting_share(boxes: np.ndarray, anchors: Anchors) -> float:
    """Part of the boxes whose shape overlaps that of an anchor by :data:`FITTING_IOU`.

    Args:
        boxes: (A, 2), width and height, pixels of the network's input.
        anchors: shapes to compare with; places do not count.
    """
    sizes = np.array([(side / ratio ** 0.5, side * ratio ** 0.5) for stride in anchors.strides
                      for side in (scale * stride for scale in anchors.scales)
                      for ratio in anchors.ratios])
    best = np.zeros(len(boxes))
    areas = boxes.prod(1)
    for size in sizes:
        inner = np.minimum(boxes, size).prod(1)
        np.maximum(best, inner / (areas + size.prod() - inner), out=best)
    return float((best >= FITTING_IOU).mean())


def choose_anchors(base: Anchors, boxes: np.ndarray) -> tuple[Anchors, str]:
    """Anchors that fit the boxes: those of the base, unless a quarter of the boxes gains by others.

    Args:
        base: those of the base.
        boxes: (A, 2), width and height, pixels of the network's input.

    Returns:
        The anchors; why, as a sentence without its full stop.
    """
    share = fitting_share(boxes, base)
    low, high = np.percentile(np.sqrt(boxes.prod(1)), [5, 95])
    seen = f'nine of ten objects have {low:.0f} to {high:.0f} pixels after resizing'
    found = [(anchors, fitting_share(boxes, anchors)) for anchors in _variants(base)]
    best = max(other for _, other in found)
    if best < share + LEAST_GAIN:
        return base, f'{seen}; the shape of {share:.0%} of all fits an anchor'
    # Of those that are nearly as good, the first is the one with the fewest changes.
    anchors, other = next((a, s) for a, s in found if s >= best - 0.05)
    return anchors, f'{seen}; the shape of {other:.0%} of all fits an anchor, {share:.0%} with ' \
                    'those of the base'


def _variants(base: Anchors) -> Iterator[Anchors]:
    """Other anchors, those with fewer changes first."""
    half, double = (tuple(scale * factor for scale in base.scales) for factor in (0.5, 2))
    longer = (base.ratios[0] / 2, *base.ratios, base.ratios[-1] * 2)
    one_more = (*base.strides, 2 * base.strides[-1])
    yield replace(base, scales=half)
    yield replace(base, scales=double)
    yield replace(base, ratios=longer)
    yield replace(base, scales=half, strides=one_more)
    yield replace(base, scales=half, ratios=longer)
    yield replace(base, scales=double, ratios=longer)
    yield replace(base, scales=half, ratios=longer, strides=one_more)
