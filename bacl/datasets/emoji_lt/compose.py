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
# The same of a drawing that has an image to itself.
MIN_SINGLE_SIZE, MAX_SINGLE_SIZE = 0.4, 0.8
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
    :data:`MIN_OBJECT_SIZE`. So at least :data:`MIN_VISIBLE` of each object stays visible, and
    nothing that can be seen lacks its mask.

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
    areas = np.zeros(len(drawings), dtype=np.int64)  # also of what is hidden or outside
    visible = np.zeros(len(drawings), dtype=np.int64)
    for index, drawing in enumerate(drawings):
        object_size = size * MIN_OBJECT_SIZE * (MAX_OBJECT_SIZE / MIN_OBJECT_SIZE)**rng.random()
        angle = MAX_ROTATION * (2 * rng.random() - 1)
        brightness = 1 + MAX_BRIGHTNESS_CHANGE * (2 * rng.random() - 1)
        below, here = slice(index), slice(index + 1)
        while True:
            patch = warp_drawing(drawing, object_size, angle)
            solid = patch[..., 3] >= OPAQUE_ALPHA
            in_image, in_patch = overlap(solid.shape, rng.random(2) * size, size)
            covers = solid[in_patch]
            hidden = np.count_nonzero(masks[(below, *in_image)] & covers, axis=(1, 2))
            areas[index] = np.count_nonzero(solid)
            still_visible = np.append(visible[below] - hidden, np.count_nonzero(covers))
            if (still_visible >= MIN_VISIBLE * areas[here]).all():
                break
            object_size = max(0.97 * object_size, size * MIN_OBJECT_SIZE)
        visible[here] = still_visible
        masks[(below, *in_image)] &= ~covers
        masks[(index, *in_image)] = covers
        blend(image[in_image], patch[in_patch], brightness)
    return Scene(image, masks)


def compose_single(photograph: Image.Image, drawing: np.ndarray, size: int,
                   rng: np.random.Generator) -> np.ndarray:
    """Paste one drawing into a random crop of a photograph, large and, where it fits, whole.

    Its longer side before rotation is :data:`MIN_SINGLE_SIZE` to :data:`MAX_SINGLE_SIZE` of the
    image's; rotation and brightness are those of a scene.

    Args:
        photograph: RGB.
        drawing: (h, w, 4), uint8, RGBA.
        size: side of the image in pixels.
        rng: draws everything that is random.

    Returns:
        (size, size, 3), uint8, RGB.
    """
    image = random_crop(photograph, size, rng)
    scale, turn, light, *place = rng.random(5)
    object_size = size * (MIN_SINGLE_SIZE + (MAX_SINGLE_SIZE - MIN_SINGLE_SIZE) * scale)
    patch = warp_drawing(drawing, object_size, MAX_ROTATION * (2 * turn - 1))
    centre = [size / 2 + (u - 0.5) * max(size - length, 0)
              for u, length in zip(place, patch.shape, strict=False)]
    in_image, in_patch = overlap(patch.shape[:2], centre, size)
    blend(image[in_image], patch[in_patch], 1 + MAX_BRIGHTNESS_CHANGE * (2 * light - 1))
    return image


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

    alpha = drawing[..., 3:].astype(np.int32)
    premultiplied = np.concatenate([drawing[..., :3] * alpha // 255, alpha], axis=-1)
    # A transparent border, to which all samples outside go.
    padded = np.pad(premultiplied, ((1, 1), (1, 1), (0, 0)))
    samples = padded[np.clip(rows + 1, 0, height + 1), np.clip(columns + 1, 0, width + 1)]
    total = sum(samples[i::_SUBSAMPLES, j::_SUBSAMPLES]
                for i in range(_SUBSAMPLES) for j in range(_SUBSAMPLES))
    return (total // _SUBSAMPLES**2).astype(np.uint8)


def overlap(patch_shape: Sequence[int], center: Sequence[float],
            size: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Find the place where a patch and the image overlap.

    Args:
        patch_shape: height and width.
        center: of the patch in the image, (y, x) in pixels.
        size: side of the image.

    Returns:
        Rows and columns of the image, and rows and columns of the patch.
    """
    in_image, in_patch = [], []
    for length, middle in zip(patch_shape, center, strict=True):
        start = int(middle) - length // 2
        part = slice(max(start, 0), min(start + length, size))
        in_image.append(part)
        in_patch.append(slice(part.start - start, part.stop - start))
    return tuple(in_image), tuple(in_patch)


def blend(image: np.ndarray, patch: np.ndarray, brightness: float) -> None:
    """Draw a patch over an image, in place.

    Args:
        image: (h, w, 3), uint8, RGB.
        patch: (h, w, 4), uint8, RGB multiplied by alpha, and alpha.
        brightness: factor for the colours of the patch.
    """
    alpha = patch[..., 3:].astype(np.int32)
    colour = np.minimum(patch[..., :3] * brightness, alpha).astype(np.int32)
    image[:] = colour + image * (255 - alpha) // 255
