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
from bacl.visualization.label_places import place_labels
from PIL import Image

Box = tuple[float, float, float, float]  # x, y, width, height in pixels of the original image

MAX_SIDE = 640  # of an image of the gallery, in pixels; a larger one is made smaller
THUMBNAIL_SIDE = 72  # of an example, in pixels
CONTEXT = 0.25  # how much of its surroundings an example shows, as a share of the longer side
NAME_LENGTH = 16  # letters at a box, of longer names the beginning
QUALITY = dict(picture=80, thumbnail=60)  # of WebP, in [0, 100]


@dataclass(frozen=True)
class Mark:
    """A box on an image.

    Attributes:
        box: where.
        name: of the class.
        group: rank of the frequency group of the class, which decides the colour.
        is_right: whether it is annotated, or found as annotated; others are dashed.
        score: of a detection.
    """

    box: Box
    name: str
    group: int
    is_right: bool = True
    score: float | None = None

    @property
    def text(self) -> str:
        """Name and score."""
        return self._with_score(self.name)

    @property
    def short_text(self) -> str:
        """The same, of a long name only the beginning."""
        is_short = len(self.name) <= NAME_LENGTH
        return self._with_score(self.name if is_short else f'{self.name[:NAME_LENGTH - 1]}…')

    def _with_score(self, name: str) -> str:
        return name if self.score is None else f'{name} {self.score:.2f}'


@dataclass(frozen=True)
class Label:
    """The text at a mark.

    Attributes:
        text: the words.
        left: where they begin, in pixels of the original image.
        base: their base line, likewise.
    """

    text: str
    left: float
    base: float


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

    def place_labels(self, panel: Panel) -> list[Label | None]:
        """Labels that can be read: each inside the image and at its box, none on another.

        Returns:
            One for each mark; None where there is no room, see
            :func:`bacl.visualization.label_places.place_labels`.
        """
        texts = [mark.short_text for mark in panel.marks]
        places = place_labels([mark.box for mark in panel.marks], [*map(self._text_width, texts)],
                              self.font_size, self.width, self.height)
        return [place and Label(text, *place) for text, place in zip(texts, places, strict=True)]

    def _text_width(self, text: str) -> float:
        return 0.66 * self.font_size * len(text)  # letters of the page's font, bold, on average


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
    side = max(max(width, height) * (1 + 2 * CONTEXT), 1)  # a box may be thinner than a pixel
    left, top = x + (width - side) / 2, y + (height - side) / 2
    # What lies beyond the image is black. The square is not cut out as a whole: that of a long
    # object may have far more pixels than the image.
    inside = (max(left, 0), max(top, 0), min(left + side, image.width),
              min(top + side, image.height))
    canvas = Image.new('RGB', (THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    if inside[0] < inside[2] and inside[1] < inside[3]:
        scale = THUMBNAIL_SIDE / side
        size = (max(1, round((inside[2] - inside[0]) * scale)),
                max(1, round((inside[3] - inside[1]) * scale)))
        canvas.paste(image.resize(size, box=inside),
                     (round((inside[0] - left) * scale), round((inside[1] - top) * scale)))
    return _data_uri(canvas, QUALITY['thumbnail'])


def _data_uri(image: Image.Image, quality: int) -> str:
    content = io.BytesIO()
    image.save(content, 'WEBP', quality=quality)
    return 'data:image/webp;base64,' + b64encode(content.getvalue()).decode()
