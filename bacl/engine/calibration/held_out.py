"""A part of the training images, on which the strength of a calibrator is chosen."""
from collections import defaultdict

import numpy as np


def hold_out(data: dict, share: float, seed: int = 0, min_images: int = 5) -> list[int]:
    """Choose images so that every class is among them.

    Classes take their turns, the rarest first: each gets images at random until it has its share,
    and at least ``min_images`` or all that it has. If that is less than the share of all images,
    others are added.

    Args:
        data: content of an annotation file in COCO or LVIS format. Not changed.
        share: of the images, in (0, 1].
        seed: of the choice.
        min_images: of each class, where it has as many.

    Returns:
        Ids of images, in the order of the file. Of many rare classes they may be more than the
        share.

    Raises:
        ValueError: if ``share`` is out of its range.
    """
    if not 0 < share <= 1:
        raise ValueError(f'hold_out(share=) expects a number above 0 and at most 1, got {share}.')
    random = np.random.default_rng(seed)
    images_of = defaultdict(set)
    for annotation in data['annotations']:
        images_of[annotation['category_id']].add(annotation['image_id'])
    chosen: set[int] = set()
    for category_id in sorted(images_of, key=lambda key: (len(images_of[key]), key)):
        images = images_of[category_id]
        wanted = min(len(images), max(min_images, round(share * len(images))))
        missing = wanted - len(images & chosen)
        if missing > 0:
            chosen |= draw(images - chosen, missing, random)
    image_ids = [image['id'] for image in data['images']]
    missing = round(share * len(image_ids)) - len(chosen)
    if missing > 0:
        chosen |= draw(set(image_ids) - chosen, missing, random)
    return [image_id for image_id in image_ids if image_id in chosen]


def draw(image_ids: set[int], number: int, random: np.random.Generator) -> set[int]:
    """Some of the ids, without replacement; the same ones whatever the order of the set."""
    return set(random.choice(sorted(image_ids), number, replace=False).tolist())
