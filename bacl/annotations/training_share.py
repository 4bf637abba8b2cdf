"""The part of an annotation file that training sees, and what it leaves out."""
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from .boxes import Boxes
from .rules import (
    BOX_OUTSIDE,
    CROWD,
    EMPTY_CATEGORY,
    EMPTY_IMAGE,
    IGNORED,
    NORMALISED_BOX,
    NOTHING_LEFT,
    SMALL_BOX,
    SMALL_IMAGE,
    UNUSED_CATEGORY,
    UNUSED_IMAGE,
    Rule,
)
from .use import Use

LEAST_SEEN = 0.1  # of the annotations; training on fewer is most likely a mistake

# Annotations of these are not learned.
LEFT_OUT = (NORMALISED_BOX, SMALL_BOX, BOX_OUTSIDE, IGNORED, CROWD)


class TrainingShare:
    """The part that training sees of I images, A annotations and C classes without bad records.

    Args:
        images: of the file.
        categories: of the file.
        image_ids: (A,), int64, of the annotations.
        category_ids: the same.
        boxes: of the annotations.
        use: 'training'.

    Attributes:
        left_out: per kind of record how many are left out, by rule.
        sizes: per kind of record how many are seen, and how many there are.
    """

    def __init__(self, images: Sequence[dict], categories: Sequence[dict], image_ids: np.ndarray,
                 category_ids: np.ndarray, boxes: Boxes, use: Use) -> None:
        self._images, self._categories = images, categories
        image, label = (_positions(records, ids) for records, ids in (
            (images, image_ids), (categories, category_ids)))
        sides = np.array([(record['width'], record['height']) for record in images]).reshape(-1, 2)
        self.is_small = sides.min(1) < use.min_size  # (I,)
        is_usable = np.ones(len(image), dtype=bool)
        for rule in LEFT_OUT:
            is_usable[boxes.rules[rule]] = False
        is_seen = is_usable & ~self.is_small[image]
        annotated, usable = (np.bincount(image[chosen], minlength=len(images)) > 0
                             for chosen in (slice(None), is_usable))
        self.is_unused_image = annotated & ~usable
        has_annotation, has_seen = (np.bincount(label[chosen], minlength=len(categories)) > 0
                                    for chosen in (slice(None), is_seen))
        self.is_unused_category = has_annotation & ~has_seen
        self.left_out = {
            'annotations': {**{rule.name: len(boxes.rules[rule]) for rule in LEFT_OUT},
                            f'in a {SMALL_IMAGE.name}': int((is_usable & ~is_seen).sum())},
            'images': {
                SMALL_IMAGE.name: int(self.is_small.sum()),
                EMPTY_IMAGE.name: int((~annotated & ~self.is_small).sum()) * (
                    use.filters_empty or use.drops_empty),
                UNUSED_IMAGE.name: int((self.is_unused_image & ~self.is_small).sum()) *
                use.drops_empty},
            'classes': {EMPTY_CATEGORY.name: int((~has_annotation).sum()),
                        UNUSED_CATEGORY.name: int(self.is_unused_category.sum())}}
        totals = (len(image), len(images), len(categories))
        self.sizes = {kind: (total - sum(self.left_out[kind].values()), total)
                      for kind, total in zip(self.left_out, totals, strict=True)}

    def audit(self) -> Iterator[tuple[Rule, Iterable[str]]]:
        """The rules that need to know what is left."""
        yield SMALL_IMAGE, (name_of('image', self._images[i])
                            for i in np.flatnonzero(self.is_small))
        yield UNUSED_IMAGE, (name_of('image', self._images[i])
                             for i in np.flatnonzero(self.is_unused_image))
        yield UNUSED_CATEGORY, (name_of('category', self._categories[i])
                                for i in np.flatnonzero(self.is_unused_category))
        seen, total = self.sizes['annotations']
        if seen < LEAST_SEEN * total or self.sizes['images'][0] == 0:
            yield NOTHING_LEFT, [str(self).rstrip('.')]

    def __str__(self) -> str:
        sizes = ', '.join(f'{seen} of {total} {kind}' for kind, (seen, total) in self.sizes.items())
        parts = []
        for kind, left_out in self.left_out.items():
            named = ', '.join(f'{count} {name}' for name, count in left_out.items() if count)
            parts += [f'{kind}: {named}'] * bool(named)
        return f'Training sees {sizes}. Left out: {"; ".join(parts) or "nothing"}.'


def name_of(kind: str, record: dict) -> str:
    """A record in words, by its id and its name."""
    return f'{kind} {record["id"]}' + (f' {record["name"]!r}' if 'name' in record else '')


def _positions(records: Sequence[dict], ids: np.ndarray) -> np.ndarray:
    """(A,), int64, of the records that all of A ids name."""
    position = {record['id']: i for i, record in enumerate(records)}
    return np.array([position[i] for i in ids.tolist()], dtype=np.int64)
