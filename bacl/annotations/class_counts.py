"""How often each class occurs in an annotation file, and which group it belongs to."""
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import NamedTuple

import numpy as np

# Field of a category that names its group. A COCO-LT file made from one in LVIS format has both,
# and of these only that of COCO-LT fits its annotations.
COCO_LT_GROUP, LVIS_GROUP = 'lt_group', 'frequency'


class ClassCounts(NamedTuple):
    """How often each of C classes occurs, in label order.

    Attributes:
        image_count: (C,), int64, images with the class.
        instance_count: (C,), int64, annotations of the class.
        group: (C,), str: 'r' (rare), 'c' (common) or 'f' (frequent) in LVIS, '1' (fewest) to '4' in
            COCO-LT; None if the file has no groups.
    """

    image_count: np.ndarray
    instance_count: np.ndarray
    group: np.ndarray | None


def count_classes(categories: Sequence[dict],
                  images_of_category: Mapping[int, Sequence[int]],
                  ann_file: str | PathLike | None = None) -> ClassCounts:
    """Count the classes of an annotation file.

    In LVIS format, where every category has a 'frequency', the file's 'image_count' and
    'instance_count' hold: those of a validation set tell of the training set. Otherwise, and where
    LVIS lacks them, annotations are counted, crowds included.

    Args:
        categories: C records, in label order, with 'id' and maybe counts and a group.
        images_of_category: per category id, the image id of each of its annotations.
        ann_file: where they come from, for the message; None for no file.

    Returns:
        The counts, in label order. Groups are always the file's: those of LVIS cannot be derived
        from its counts.

    Raises:
        ValueError: if counts of a file that is not LVIS contradict its annotations. Then it is a
            part of another, whose groups would be wrong, too.
    """
    field = next((f for f in (COCO_LT_GROUP, LVIS_GROUP) if all(f in c for c in categories)), None)
    counts = {'image_count': [], 'instance_count': []}
    for category in categories:
        images = images_of_category.get(category['id'], [])
        for name, counted in (('image_count', len(set(images))), ('instance_count', len(images))):
            stored = category.get(name, counted)
            if stored != counted and field != LVIS_GROUP:
                raise ValueError(
                    f"Annotation file {ann_file} has the {name!r} {stored} of "
                    f"{category.get('name', category['id'])!r}, but its annotations make it "
                    f'{counted}. Build the file again or remove {name!r} from its categories.')
            counts[name].append(stored)
    group = None if field is None else np.array([str(c[field]) for c in categories])
    return ClassCounts(*(np.array(count, dtype=np.int64) for count in counts.values()), group)
