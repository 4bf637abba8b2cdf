"""Annotations in the format of LVIS v1."""
from collections.abc import Sequence

import numpy as np
from pycocotools import mask as mask_utils

from .longtail import frequency_group
from .plan import PlannedObject
from .sources import Emoji

# Absent categories that a training image names. Training does not use them, and all absent ones
# would make the file many times larger.
NUM_TRAIN_NEGATIVES = 10


def image_record(image_id: int, file_name: str, size: int, neg_category_ids: Sequence[int]) -> dict:
    """Describe an image.

    Args:
        image_id: from 1.
        file_name: path relative to the root of the dataset. It is also the 'coco_url': LVIS v1 has
            no other field for the place of an image, and readers of the format take it from there.
        size: side in pixels.
        neg_category_ids: categories known to be absent.
    """
    return dict(id=image_id, file_name=file_name, coco_url=file_name, width=size, height=size,
                neg_category_ids=list(neg_category_ids), not_exhaustive_category_ids=[])


def annotation_record(planned: PlannedObject, mask: np.ndarray) -> dict:
    """Describe the visible part of an object; its 'id' and 'image_id' are still to be set.

    The segmentation is a run-length encoding, which is exact also where an object has holes or is
    cut into pieces by another.

    Args:
        planned: the object; its vendor is kept as 'style', a field that is not LVIS's.
        mask: (h, w), bool, not empty.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top = int(columns[0]), int(rows[0])
    encoded = mask_utils.encode(np.asfortranarray(mask, dtype=np.uint8))
    return dict(
        category_id=planned.category + 1,
        style=planned.vendor,
        bbox=[left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
        area=int(np.count_nonzero(mask)),
        segmentation=dict(size=list(encoded['size']), counts=encoded['counts'].decode('ascii')),
        iscrowd=0)


def absent_category_ids(objects: Sequence[PlannedObject], num_categories: int) -> list[int]:
    """Ids of all categories that an image does not show; its annotations are exhaustive."""
    present = {planned.category + 1 for planned in objects}
    return [category_id for category_id in range(1, num_categories + 1)
            if category_id not in present]


def category_records(emoji: Sequence[Emoji], annotations: Sequence[dict]) -> list[dict]:
    """Describe the categories.

    Args:
        emoji: C categories; their ids are 1 to C in this order.
        annotations: those of the training images. All counts are taken from them.
    """
    instance_count = np.zeros(len(emoji), dtype=np.int64)
    images: list[set[int]] = [set() for _ in emoji]
    for annotation in annotations:
        instance_count[annotation['category_id'] - 1] += 1
        images[annotation['category_id'] - 1].add(annotation['image_id'])
    return [
        dict(id=index + 1, name=each.name, synset=each.code, synonyms=[each.name],
             **{'def': each.character}, frequency=frequency_group(len(images[index])),
             image_count=len(images[index]), instance_count=int(instance_count[index]))
        for index, each in enumerate(emoji)]
