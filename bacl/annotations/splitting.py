"""Parts of an annotation file: some of its images or annotations, and a split of all in two."""
import logging
from collections import Counter, defaultdict

import numpy as np
from mmengine.logging import print_log

from .audit import FEDERATED_FIELDS
from .class_table import LVIS_GROUP

COUNTS = ('image_count', 'instance_count')


def split_images(data: dict, share: float, seed: int = 0) -> tuple[list[int], list[int]]:
    """Split images in two, so that every class is on both sides where it has two images.

    Classes take their turns, the rarest first: each gives the second side its share of images, at
    least one. An image stays on the first side if a class would have none left there, though others
    in it then may have none on the second. If that has less than its share of all images, others
    follow, by the same rule.

    Args:
        data: content of an annotation file in COCO or LVIS format. Not changed.
        share: of the images on the second side, in (0, 1).
        seed: of the choice.

    Returns:
        Ids of the images of the first and of the second side, in the order of the file.

    Raises:
        ValueError: if ``share`` is out of its range, or a list of the file lacks.
    """
    if not 0 < share < 1:
        raise ValueError(f'split_images(share=) expects a number between 0 and 1, got {share}.')
    _check_lists(data)
    random = np.random.default_rng(seed)
    image_ids = [image['id'] for image in data['images']]
    classes_of, images_of = defaultdict(set), defaultdict(set)
    for annotation in data['annotations']:
        classes_of[annotation['image_id']].add(annotation['category_id'])
        images_of[annotation['category_id']].add(annotation['image_id'])
    left = Counter({category_id: len(images) for category_id, images in images_of.items()})
    second: set[int] = set()

    def move(candidates: list[int], number: int) -> None:
        for index in random.permutation(len(candidates)):
            if number <= 0:
                return
            image_id = candidates[index]
            if all(left[category_id] > 1 for category_id in classes_of[image_id]):
                second.add(image_id)
                left.subtract(classes_of[image_id])
                number -= 1

    for category_id in sorted(images_of, key=lambda key: (len(images_of[key]), key)):
        images = images_of[category_id]
        if len(images) > 1:
            wanted = max(1, round(share * len(images)))
            move(sorted(images - second), wanted - len(images & second))
    move([i for i in image_ids if i not in second], round(share * len(image_ids)) - len(second))
    return [i for i in image_ids if i not in second], [i for i in image_ids if i in second]


def training_part(data: dict, image_ids: list[int]) -> dict:
    """The content of a training file with some of its images, and the counts of these.

    Groups in the file stay: a class is as rare in the world as it was.

    Args:
        data: content of the file, in COCO or LVIS format. Not changed.
        image_ids: of the images that are kept.
    """
    kept = set(image_ids)
    return _counted({
        **data, 'images': [image for image in data['images'] if image['id'] in kept],
        'annotations': [a for a in data['annotations'] if a['image_id'] in kept]})


def drop_annotations(data: dict, share: float, seed: int = 0) -> dict:
    """The content of a training file without some of its annotations, and the counts of the others.

    As if somebody had overlooked these objects: images stay, what is said of them, too, and groups.
    Annotations are drawn at random, whatever their class; the last one of a class stays.

    Args:
        data: content of the file, in COCO or LVIS format. Not changed.
        share: of the annotations that goes, in (0, 1).
        seed: of the choice. A larger share has all that a smaller one drops.

    Raises:
        ValueError: if ``share`` is out of its range, or a list of the file lacks.
    """
    if not 0 < share < 1:
        raise ValueError(f'drop_annotations(share=) expects a number between 0 and 1, got {share}.')
    _check_lists(data)
    annotations = data['annotations']
    left = Counter(annotation['category_id'] for annotation in annotations)
    dropped: set[int] = set()
    for place in np.random.default_rng(seed).permutation(len(annotations)).tolist():
        category_id = annotations[place]['category_id']
        if len(dropped) < round(share * len(annotations)) and left[category_id] > 1:
            dropped.add(place)
            left[category_id] -= 1
    return _counted({**data, 'annotations': [
        annotation for place, annotation in enumerate(annotations) if place not in dropped]})


def _check_lists(data: dict) -> None:
    for name in ('images', 'annotations', 'categories'):
        if not isinstance(data, dict) or not isinstance(data.get(name), list):
            raise ValueError('Expects an annotation file in COCO or LVIS format, with a list of '
                             f'{name}, got one without.')


def _counted(data: dict) -> dict:
    """The same with the images and instances of its categories, where it has such counts."""
    annotations = data['annotations']
    instances = Counter(a['category_id'] for a in annotations)
    images = Counter(category_id for _, category_id in {
        (a['image_id'], a['category_id']) for a in annotations})
    return {**data, 'categories': [
        {**category, **{key: counted[category['id']]
                        for key, counted in zip(COUNTS, (images, instances), strict=True)
                        if key in category}}
        for category in data['categories']]}


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
                       if key not in COUNTS} for category in categories]
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
