"""A part of the training images, on which the strength of a calibrator is chosen."""
import logging
from collections import defaultdict

import numpy as np
from bacl.annotations.audit import FEDERATED_FIELDS
from bacl.annotations.class_table import LVIS_GROUP
from mmengine.logging import print_log


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


def part_of(data: dict, image_ids: list[int]) -> dict:
    """The content of an annotation file with some of its images, fit for evaluation.

    Federated evaluation needs to know which categories were looked for in an image. Where a file in
    LVIS format does not say it of its images, as if all categories had been, and the log says so.

    Args:
        data: content of the file, in COCO or LVIS format. Not changed.
        image_ids: of the images that are kept.

    Returns:
        Content of a file. In COCO format its categories are without counts, which would be those of
        the whole.
    """
    kept = set(image_ids)
    annotations = [a for a in data['annotations'] if a['image_id'] in kept]
    images = [image for image in data['images'] if image['id'] in kept]
    categories = data['categories']
    if all(LVIS_GROUP in category for category in categories):
        images = with_federated_fields(images, annotations, categories)
    else:
        categories = [{key: value for key, value in category.items()
                       if key not in ('image_count', 'instance_count')} for category in categories]
    return dict(images=images, annotations=annotations, categories=categories)


def with_federated_fields(images: list[dict], annotations: list[dict],
                          categories: list[dict]) -> list[dict]:
    """Images that say which categories are absent and which are not annotated exhaustively."""
    lacking = [image for image in images if not all(field in image for field in FEDERATED_FIELDS)]
    if not lacking:
        return images
    print_log(f'{len(lacking)} of {len(images)} held-out images do not say which categories were '
              f'looked for ({" and ".join(FEDERATED_FIELDS)}). They are evaluated as if all had '
              'been: a detection of a category that is not annotated in such an image is wrong.',
              logger='current', level=logging.WARNING)
    present = defaultdict(set)
    for annotation in annotations:
        present[annotation['image_id']].add(annotation['category_id'])
    category_ids = [category['id'] for category in categories]
    return [{'not_exhaustive_category_ids': [],
             'neg_category_ids': [c for c in category_ids if c not in present[image['id']]],
             **image} for image in images]
