"""Numbers of a dataset that settings depend on."""
from dataclasses import dataclass

import numpy as np
from bacl.annotations import ClassTable
from bacl.annotations.boxes import sizes_of
from bacl.annotations.columns import flags, integers, number_rows

from .pairs import Pair
from .sides import why_no_masks

MAX_BOXES = 200_000  # looked at for their shapes


@dataclass(frozen=True, eq=False)
class Facts:
    """Numbers of a dataset: C classes, I training images with objects, A objects in them.

    Attributes:
        classes: of the training annotations, with groups if the file has some.
        num_train: training images, also those without objects.
        num_val: images for validation.
        val_instances: (C,), int64, objects of each class there.
        image_sizes: (I, 2), float64, width and height of the training images with objects, pixels.
        boxes: (A, 2), float64, width and height of objects that are learned, pixels; at most
            :data:`MAX_BOXES` of them.
        box_images: (A, 2), float64, width and height of the image of each of ``boxes``.
        objects_per_image: (I,), int64.
        most_of_a_class: largest number of objects of one class in one image for validation.
        most_in_an_image: largest number of objects in one image for validation.
        is_lvis: of :class:`.pairs.Pair`.
        why_no_masks: why training cannot use masks; '' if it can.
    """

    classes: ClassTable
    num_train: int
    num_val: int
    val_instances: np.ndarray
    image_sizes: np.ndarray
    boxes: np.ndarray
    box_images: np.ndarray
    objects_per_image: np.ndarray
    most_of_a_class: int
    most_in_an_image: int
    is_lvis: bool
    why_no_masks: str


def collect_facts(pair: Pair, classes: ClassTable) -> Facts:
    """Collect the numbers of data that the audit has passed.

    Args:
        pair: both sides.
        classes: of the training annotations.
    """
    train, val = pair.train, pair.val
    annotations = train.data['annotations']
    image_ids = integers([annotation['image_id'] for annotation in annotations])[0]
    boxes = number_rows([annotation['bbox'] for annotation in annotations], 4)[:, 2:]
    is_learned = (boxes >= 1).all(1)
    for name in ('iscrowd', 'ignore'):
        is_learned &= ~flags([annotation.get(name, 0) for annotation in annotations])[0]
    image_ids, boxes = image_ids[is_learned], boxes[is_learned]
    used, objects_per_image = np.unique(image_ids, return_counts=True)
    chosen = slice(None, None, max(1, -(-len(boxes) // MAX_BOXES)))
    val_images, val_categories = (
        integers([annotation[f'{kind}_id'] for annotation in val.data['annotations']])[0]
        for kind in ('image', 'category'))
    category_ids = [category['id'] for category in val.data['categories']]
    return Facts(
        classes=classes, num_train=len(train.data['images']), num_val=len(val.data['images']),
        val_instances=np.array([(val_categories == i).sum() for i in category_ids]),
        image_sizes=sizes_of(train.data['images'], used),
        boxes=boxes[chosen], box_images=sizes_of(train.data['images'], image_ids[chosen]),
        objects_per_image=objects_per_image,
        most_of_a_class=_most_repeated(np.column_stack([val_images, val_categories])),
        most_in_an_image=_most_repeated(val_images[:, None]),
        is_lvis=pair.is_lvis,
        why_no_masks=why_no_masks(train))


def _most_repeated(rows: np.ndarray) -> int:
    """Number of the rows of (N, K) that are equal to the most frequent one."""
    return int(np.unique(rows, axis=0, return_counts=True)[1].max(initial=0))
