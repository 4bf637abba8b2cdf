"""Pasting of drawings into a photograph, with the masks of what stays visible.

Geometry is integer arithmetic on NumPy arrays, not a library's resampling: masks and boxes do not
depend on the version of an image library.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from .sources import OPAQUE_ALPHA

# Longer side of an object before rotation, relative to the side of the image (20 to 60 of 160 px).
MIN_OBJECT_SIZE, MAX_OBJECT_SIZE = 0.125, 0.375
MAX_ROTATION = 30.0  # degrees; more would turn one arrow or clock into another
MAX_BRIGHTNESS_CHANGE = 0.25
# No object hides more of another, and none is cut off more by the border of the image.
MIN_VISIBLE = 0.35

_SUBSAMPLES = 3  # per pixel and axis
_FRACTION_BITS = 16


class Scene(NamedTuple):
    """A composed image.

    Attributes:
        image: (size, size, 3), uint8, RGB.
        masks: (N, size, size), bool, the visible part of each object.
    """

    image: np.ndarray
    masks: np.ndarray


def compose_scene(photograph: Image.Image, drawings: Sequence[np.ndarray], size: int,
                  rng: np.random.Generator) -> Scene:
    """Paste drawings into a random crop of a photograph, one over the other.

    Position, size, rotation and brightness are random. An object whose position hides too much of
    others, or lies too far outside, tries another one and shrinks a little with every try, down to
    :data:`MIN_OBJECT_SIZE`. So each object stays at least :data:`MIN_VISIBLE` visible, and nothing that can be seen lacks its mask.

    Args:
        photograph: RGB.
        drawings: RGBA, uint8, each (h, w, 4); the last one is on top.
        size: side of the image in pixels.
        rng: draws everything that is random.

    Returns:
        The image and the masks, in the order of ``drawings``.
    """
    image = random_crop(photograph, size, rng)
    masks = np.zeros((len(drawings), size, size), dtype=bool)
    areas = np.zeros(len(drawings), dtype=np.int64)
    for index, drawing in enumerate(drawings):
        object_size = size * MIN_OBJECT_SIZE * (MAX_OBJECT_SIZE / MIN_OBJECT_SIZE)**rng.random()
        angle = MAX_ROTATION * (2 * rng.random() - 1)
        brightness = 1 + MAX_BRIGHTNESS_CHANGE * (2 * rng.random() - 1)
        while True:
            patch = warp_drawing(drawing, object_size, angle)
            center = rng.random(2) * size
            top, left = (int(c) - side // 2 for c, side in zip(center, patch.shape))
            mask = _place(patch[..., 3] >= OPAQUE_ALPHA, top, left, size)
            areas[index] = np.count_nonzero(patch[..., 3] >= OPAQUE_ALPHA)
            masks[index] = mask
            remaining = masks[:index + 1] & ~mask
            remaining[index] = mask
            if (remaining.sum((1, 2)) >= MIN_VISIBLE * areas[:index + 1]).all():
                break
            object_size = max(0.97 * object_size, size * MIN_OBJECT_SIZE)
        masks[:index + 1] = remaining
        _blend(image, patch, brightness, top, left)
    return Scene(image, masks)


def random_crop(photograph: Image.Image, size: int, rng: np.random.Generator) -> np.ndarray:
    """Crop a random square from a photograph, mirror it half of the time and resize it.

    Args:
        photograph: RGB.
        size: side of the result in pixels.
        rng: draws side, position and mirroring; always four numbers.

    Returns:
        (size, size, 3), uint8.
    """
    zoom, x, y, mirror = rng.random(4)
    largest = min(photograph.size)
    side = max(round(largest * (0.4 + 0.6 * zoom)), 1)
    left, top = round(x * (photograph.width - side)), round(y * (photograph.height - side))
    crop = photograph.resize((size, size), Image.Resampling.BILINEAR,
                             box=(left, top, left + side, top + side))
    return np.array(crop)[:, ::-1 if mirror < 0.5 else 1].copy()


def warp_drawing(drawing: np.ndarray, object_size: float, angle: float) -> np.ndarray:
    """Scale and rotate a drawing.

    Every pixel is the mean of :data:`_SUBSAMPLES` x :data:`_SUBSAMPLES` samples. Coordinates are
    fixed-point numbers.

    Args:
        drawing: (h, w, 4), uint8, RGBA.
        object_size: the longer side after scaling, before rotation, in pixels.
        angle: in degrees.

    Returns:
        (H, W, 4), uint8, RGB multiplied by alpha, and alpha; just large enough.
    """
    height, width = drawing.shape[:2]
    step = max(height, width) / max(object_size, 1)  # drawing pixels per output pixel
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    out_width = int(np.ceil((abs(width * cos) + abs(height * sin)) / step))
    out_height = int(np.ceil((abs(width * sin) + abs(height * cos)) / step))
    # Sample positions relative to the centre, in half subsamples, so that they are integers.
    x = 2 * np.arange(out_width * _SUBSAMPLES) + 1 - out_width * _SUBSAMPLES
    y = 2 * np.arange(out_height * _SUBSAMPLES)[:, None] + 1 - out_height * _SUBSAMPLES
    one = 2**_FRACTION_BITS
    a = int(np.rint(cos * step * one / (2 * _SUBSAMPLES)))
    b = int(np.rint(sin * step * one / (2 * _SUBSAMPLES)))
    columns = (a * x - b * y + width * one // 2) >> _FRACTION_BITS
    rows = (b * x + a * y + height * one // 2) >> _FRACTION_BITS
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)

    alpha = drawing[..., 3:].astype(np.int32)
    premultiplied = np.concatenate([drawing[..., :3] * alpha // 255, alpha], axis=-1)
    samples = premultiplied[np.where(inside, rows, 0), np.where(inside, columns, 0)]
    samples *= inside[..., None]
    blocks = samples.reshape(out_height, _SUBSAMPLES, out_width, _SUBSAMPLES, 4)
    return (blocks.sum((1, 3)) // _SUBSAMPLES**2).astype(np.uint8)


def _overlap(patch_shape: Sequence[int], top: int, left: int,
             size: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a patch at (top, left) and the image overlap: in the image and in the patch."""
    rows = slice(max(top, 0), max(min(top + patch_shape[0], size), 0))
    columns = slice(max(left, 0), max(min(left + patch_shape[1], size), 0))
    return (rows, columns), (slice(rows.start - top, rows.stop - top),
                             slice(columns.start - left, columns.stop - left))


def _place(patch_mask: np.ndarray, top: int, left: int, size: int) -> np.ndarray:
    in_image, in_patch = _overlap(patch_mask.shape, top, left, size)
    mask = np.zeros((size, size), dtype=bool)
    mask[in_image] = patch_mask[in_patch]
    return mask


def _blend(image: np.ndarray, patch: np.ndarray, brightness: float, top: int, left: int) -> None:
    """Draw a premultiplied patch over the image, in place."""
    in_image, in_patch = _overlap(patch.shape, top, left, image.shape[0])
    alpha = patch[in_patch][..., 3:].astype(np.int32)
    colour = np.minimum(patch[in_patch][..., :3] * brightness, alpha).astype(np.int32)
    image[in_image] = colour + image[in_image] * (255 - alpha) // 255
