"""How often each class occurs in an annotation file, and which group it belongs to."""
from collections import defaultdict
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import NamedTuple

import numpy as np

from .files import read_annotations

# Field of a category that names its group: LVIS's, and that of COCO-LT.
GROUP_FIELDS = ('frequency', 'lt_group')


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
                  images_of_category: Mapping[int, Sequence[int]]) -> ClassCounts:
    """Read class counts from the categories of an annotation file.

    Args:
        categories: C records, in label order, with 'id' and, in files of long-tailed datasets,
            'image_count', 'instance_count' and a group. Counts that they lack are taken from
            ``images_of_category``.
        images_of_category: per category id, the image id of each of its annotations.

    Returns:
        The counts, in label order. Groups are always the file's: those of LVIS cannot be derived
        from its counts.
    """
    image_count, instance_count = [], []
    for category in categories:
        images = images_of_category.get(category['id'], [])
        image_count.append(category.get('image_count', len(set(images))))
        instance_count.append(category.get('instance_count', len(images)))
    field = next((f for f in GROUP_FIELDS if all(f in c for c in categories)), None)
    group = None if field is None else np.array([str(c[field]) for c in categories])
    return ClassCounts(np.array(image_count, dtype=np.int64),
                       np.array(instance_count, dtype=np.int64), group)


def read_class_counts(ann_file: str | PathLike, backend_args: dict | None = None) -> ClassCounts:
    """Count the classes of a COCO or LVIS file.

    Args:
        ann_file: path or URL of the annotation file.
        backend_args: of mmengine's file backend; None finds the backend by the path.

    Returns:
        The counts, in the order of the file's categories, which is that of the labels.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if it is not JSON or has no categories or annotations.
    """
    data = read_annotations(ann_file, backend_args)
    if not isinstance(data, dict) or not data.get('categories') or 'annotations' not in data:
        raise ValueError(f"Annotation file {ann_file} has no 'categories' or no 'annotations'; "
                         'class counts are read from a file in COCO or LVIS format.')
    images = defaultdict(list)
    for annotation in data['annotations']:
        images[annotation['category_id']].append(annotation['image_id'])
    return count_classes(data['categories'], images)
