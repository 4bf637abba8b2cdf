"""Places for the names of boxes, so that each can be read."""
from collections.abc import Sequence
from typing import NamedTuple

LINE_DISTANCE = 1.1  # of base lines that do not touch, in heights of a letter


class Place(NamedTuple):
    """Where a line of text begins, in pixels.

    Attributes:
        left: of its first letter.
        base: of its base line.
    """

    left: float
    base: float


def place_labels(boxes: Sequence[Sequence[float]], widths: Sequence[float], font_size: float,
                 width: float, height: float) -> list[Place | None]:
    """Find places inside the image and at the boxes, none on another.

    A label stands above its box, else inside it at the top, else below it, else inside it at the
    bottom.

    Args:
        boxes: N boxes (x, y, w, h) in pixels; later ones, which are drawn on top, choose first.
        widths: N, of the texts in pixels.
        font_size: height of a letter in pixels.
        width: of the image in pixels.
        height: the same.

    Returns:
        N places; None where all of a box are taken.
    """
    placed: list[tuple[Place, float]] = []
    result: list[Place | None] = []
    gap = 0.25 * font_size
    for (x, y, _, box_height), text_width in zip(reversed(boxes), reversed(widths), strict=True):
        left = min(max(x, 0), max(width - text_width, 0))
        bases = (y - gap, y + font_size, y + box_height + font_size, y + box_height - gap)
        candidates = (Place(left, min(max(base, font_size), height - gap)) for base in bases)
        place = next((candidate for candidate in candidates if not any(
            _overlap(candidate, text_width, *other, font_size) for other in placed)), None)
        if place is not None:
            placed.append((place, text_width))
        result.append(place)
    return result[::-1]


def _overlap(one: Place, one_width: float, other: Place, other_width: float,
             font_size: float) -> bool:
    return (abs(one.base - other.base) < LINE_DISTANCE * font_size
            and one.left < other.left + other_width and other.left < one.left + one_width)
