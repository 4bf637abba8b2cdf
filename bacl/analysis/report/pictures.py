"""Images for a page: read once, made small, and with boxes as vector graphics on top.

Boxes and names are SVG above the image, so that one copy of it serves all models, text stays sharp
at any size, and names may be in any script.
"""
import io
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from bacl.datasets.images import decode, read_bytes
from PIL import Image

Box = tuple[float, float, float, float]  # x, y, width, height in pixels of the original image

MAX_SIDE = 640  # of an image of the gallery, in pixels; a larger one is made smaller
THUMBNAIL_SIDE = 72  # of an example, in pixels
CONTEXT = 0.25  # how much of its surroundings an example shows, as a share of the longer side
QUALITY = dict(picture=80, thumbnail=60)  # of WebP, in [0, 100]


@dataclass(frozen=True)
class Mark:
    """A box on an image.

    Attributes:
        box: where.
        label: what stands at it.
        group: frequency group of the class, which decides the colour.
        is_right: whether it is annotated, or found as annotated; others are dashed.
    """

    box: Box
    label: str
    group: str
    is_right: bool = True


@dataclass(frozen=True)
class Panel:
    """One look at an image: the annotations, or the detections of one model."""

    title: str
    marks: Sequence[Mark]


@dataclass(frozen=True)
class Picture:
    """An image and several looks at it, side by side.

    Attributes:
        name: unique in a page.
        title: which image it is.
        source: data URI.
        width: of the original image, in pixels: boxes are in its coordinates.
        height: the same.
        panels: the looks.
    """

    name: str
    title: str
    source: str
    width: int
    height: int
    panels: Sequence[Panel]

    @property
    def font_size(self) -> float:
        """Of labels, in pixels of the original image; about 11 on the screen."""
        return self.width / 28

    def place_labels(self, panel: Panel) -> list[tuple[float, float]]:
        """Where the labels of a panel begin, so that they can be read.

        Each stands above its box, inside the image; where another one stands, a line below it.

        Returns:
            Left and base line of each mark's label, in pixels of the original image. Labels of
            later marks, which are drawn on top, are placed first.
        """
        placed: list[tuple[float, float, float]] = []  # left, right, base line
        for mark in reversed(panel.marks):
            # Letters of the page's font are at most 0.7 as wide as high.
            width = 0.7 * self.font_size * len(mark.label)
            left = min(max(mark.box[0], 0), max(self.width - width, 0))
            base = max(mark.box[1] - 0.25 * self.font_size, self.font_size)
            while base < self.height and any(
                    left < other_right and other_left < left + width
                    and abs(base - other_base) < self.font_size
                    for other_left, other_right, other_base in placed):
                base += self.font_size / 2
            placed.append((left, left + width, min(base, self.height)))
        return [(left, base) for left, _, base in reversed(placed)]


def open_image(path: str) -> Image.Image:
    """Read an image as training does, in RGB.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not an image, or not a whole one.
    """
    pixels = decode(read_bytes(path), path)
    return Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))


def picture_source(image: Image.Image) -> str:
    """A data URI of an image, of at most :data:`MAX_SIDE` pixels a side."""
    image = image.copy()
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    return _data_uri(image, QUALITY['picture'])


def thumbnail_source(image: Image.Image, box: Box) -> str:
    """A data URI of an object, with a little of what is around it.

    Args:
        image: the whole image.
        box: of the object.
    """
    x, y, width, height = box
    side = max(width, height) * (1 + 2 * CONTEXT)
    left, top = x + (width - side) / 2, y + (height - side) / 2
    # What lies beyond the image is black. A box may be thinner than a pixel.
    crop = image.crop((round(left), round(top), round(left + max(side, 1)),
                       round(top + max(side, 1))))
    return _data_uri(crop.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE)), QUALITY['thumbnail'])


def _data_uri(image: Image.Image, quality: int) -> str:
    content = io.BytesIO()
    image.save(content, 'WEBP', quality=quality)
    return 'data:image/webp;base64,' + b64encode(content.getvalue()).decode()
