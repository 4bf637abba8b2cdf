"""A picture of an image with boxes in the colours of frequency groups."""
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .group_styles import GroupStyles
from .label_places import place_labels

MIN_SIDE = 640  # of the longer side in pixels; a smaller image is enlarged, so that names fit
FONT_SHARE = 1 / 50  # of the longer side
LINE_SHARE = 1 / 240
NAME_LENGTH = 24  # letters at a box, of longer names the beginning
NO_GROUP = '#808080'  # colour of classes without a group
# A name of matplotlib's own font, which it brings along, has no other file.
FONT = 'fonts/ttf/DejaVuSans.ttf'


@dataclass(frozen=True)
class MarkedBox:
    """A box to draw.

    Attributes:
        box: (x, y, w, h) in pixels of the image.
        name: of the class.
        score: of a detection.
        group: key of the frequency group of the class; None for none.
        number: of the class, which stands for a name whose letters the font lacks.
    """

    box: tuple[float, float, float, float]
    name: str
    score: float
    group: str | None = None
    number: int = 0


def draw_boxes(image: np.ndarray, boxes: Sequence[MarkedBox],
               groups: GroupStyles | None = None) -> np.ndarray:
    """Draw boxes with names and scores, and below the image which colour is which group.

    Lines and letters grow with the image, so that they are legible however large it is shown. Names
    for which there is no room are left out, those of lower scores first.

    Args:
        image: (H, W, 3), uint8, RGB; not changed.
        boxes: in any order; higher scores are drawn on top.
        groups: of the classes; None draws all in grey.

    Returns:
        (H', W', 3), uint8, RGB: the image, enlarged by a whole number if it is small, and the line
        of colours, if there are groups.
    """
    factor = max(1, -(-MIN_SIDE // max(image.shape[:2])))
    picture = Image.fromarray(image)
    picture = picture.resize((picture.width * factor, picture.height * factor),
                             Image.Resampling.BICUBIC)
    side = max(picture.size)
    font, line = _font(round(FONT_SHARE * side)), max(2, round(LINE_SHARE * side))
    draw = ImageDraw.Draw(picture)
    boxes = sorted(boxes, key=lambda box: box.score)
    scaled = [[factor * value for value in box.box] for box in boxes]
    colours = [NO_GROUP if groups is None or box.group is None else
               groups.style(box.group)['color'] for box in boxes]
    texts = [_text(box) for box in boxes]
    for (x, y, width, height), colour in zip(scaled, colours, strict=True):
        corners = [x, y, x + width, y + height]
        # A dark rim shows bright lines on bright images.
        draw.rectangle([corners[0] - 1, corners[1] - 1, corners[2] + 1, corners[3] + 1],
                       outline='black', width=line + 2)
        draw.rectangle(corners, outline=colour, width=line)
    pad = 0.25 * font.size
    places = place_labels(scaled, [font.getlength(text) + 2 * pad for text in texts],
                          font.size, *picture.size)
    for place, text, colour in zip(places, texts, colours, strict=True):
        if place is not None:
            _write(draw, place.left, place.base, text, colour, font, pad)
    if groups is not None:
        picture = _with_legend(picture, groups, font)
    return np.asarray(picture)


def _write(draw: ImageDraw.ImageDraw, left: float, base: float, text: str, colour: str,
           font: ImageFont.FreeTypeFont, pad: float) -> None:
    """Write text on a strip of its colour."""
    draw.rectangle([left, base - font.size + pad / 2, left + font.getlength(text) + 2 * pad,
                    base + pad], fill=colour)
    draw.text((left + pad, base), text, fill=_ink(colour), font=font, anchor='ls')


def _ink(colour: str) -> str:
    """Black or white, whichever is read better on a colour."""
    red, green, blue = (int(colour[start:start + 2], 16) for start in (1, 3, 5))
    return 'black' if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else 'white'


def _text(box: MarkedBox) -> str:
    """Name and score; the number of the class if the font lacks letters of the name."""
    name = box.name if all(map(_has_glyph, box.name)) else f'class {box.number}'
    name = name if len(name) <= NAME_LENGTH else f'{name[:NAME_LENGTH - 1]}…'
    return f'{name} {box.score:.2f}'


def _with_legend(picture: Image.Image, groups: GroupStyles,
                 font: ImageFont.FreeTypeFont) -> Image.Image:
    """The picture above lines that name the groups."""
    lines, left, gap = [[]], font.size, font.size
    for group, colour in zip(groups.groups, groups.colours, strict=True):
        width = font.getlength(group.label) + 1.4 * font.size
        if lines[-1] and left + width > picture.width:
            lines.append([])
            left = font.size
        lines[-1].append((left, group.label, colour))
        left += width + gap
    height = round(1.6 * font.size)
    canvas = Image.new('RGB', (picture.width, picture.height + height * len(lines)), 'white')
    canvas.paste(picture)
    draw = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        base = picture.height + height * number + 1.2 * font.size
        for left, label, colour in line:
            draw.rectangle([left, base - 0.8 * font.size, left + font.size, base], fill=colour)
            draw.text((left + 1.4 * font.size, base), label, fill='black', font=font, anchor='ls')
    return canvas


def _font_file() -> str:
    import matplotlib  # not at import: it takes long

    return str(Path(matplotlib.get_data_path(), FONT))


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_font_file(), size)


@lru_cache
def _has_glyph(letter: str) -> bool:
    return ord(letter) in _letters()


@lru_cache(maxsize=1)
def _letters() -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(_font_file()).get_charmap())
