"""Small pictures of objects of every class, and what each model takes them for."""
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..results.box_pairs import box_iou
from .inputs import Images, Run
from .pictures import Box, open_image, thumbnail_source

BUDGET = 5_000_000  # bytes of all examples in a page
MAX_PER_CLASS = 6
TYPICAL_SIZE = 2000  # bytes of an example
MIN_IOU = 0.5  # of a detection that is taken to mean the object
# Matches know no detections of other classes.
NO_ANSWER = 'nothing of a labelled class'


@dataclass(frozen=True)
class Example:
    """An object.

    Attributes:
        source: data URI.
        image_id: where it is.
        answers: per run what the best detection at its place says, and with what score. Only
            classes that are labelled in the image are looked at, in COCO all.
    """

    source: str
    image_id: int
    answers: dict[str, str]


def collect_examples(images: Images, runs: Sequence[Run] = (), budget: int = BUDGET,
                     max_per_class: int = MAX_PER_CLASS) -> dict[int, list[Example]]:
    """Cut out objects of every class: the largest of each image, from different images.

    Args:
        images: where the objects are; those of the runs, if there are any.
        runs: what detects them.
        budget: bytes of all pictures. Every class may use an equal share, but has at least one.
        max_per_class: largest number of a class.

    Returns:
        Per category id its examples; no entry for a class without objects.

    Raises:
        FileNotFoundError: if an image is missing.
        ValueError: if it cannot be decoded.
    """
    share = budget / images.classes.num_classes
    number = min(max_per_class, max(1, int(share // TYPICAL_SIZE)))  # others are not even read
    records = {record['id']: record for record in images.annotations['images']}
    wanted = defaultdict(list)
    for category_id, objects in _chosen_objects(images, number).items():
        for rank, (image_id, box) in enumerate(objects):
            wanted[image_id].append((rank, category_id, box))
    answers = _Answers(runs)
    found = defaultdict(list)
    for image_id, objects in wanted.items():  # every image is read once
        image = open_image(images.image_path(records[image_id]))
        for rank, category_id, box in objects:
            found[category_id].append((rank, Example(
                thumbnail_source(image, box), image_id, answers(image_id, box))))
    return {category_id: _within([example for _, example in sorted(
        ranked, key=lambda pair: pair[0])], share) for category_id, ranked in found.items()}


def _chosen_objects(images: Images, number: int) -> dict[int, list[tuple[int, Box]]]:
    """Per category id the image and box of its objects, large ones first, one of each image."""
    largest: dict[int, dict[int, Box]] = defaultdict(dict)
    for annotation in images.annotations['annotations']:
        box = tuple(annotation['bbox'])
        of_class = largest[annotation['category_id']]
        other = of_class.get(annotation['image_id'])
        if not annotation.get('iscrowd') and (other is None or _area(box) > _area(other)):
            of_class[annotation['image_id']] = box
    return {category_id: sorted(boxes.items(), key=lambda item: -_area(item[1]))[:number]
            for category_id, boxes in largest.items()}


def _area(box: Box) -> float:
    return box[2] * box[3]


def _within(examples: list[Example], budget: float) -> list[Example]:
    sizes = np.cumsum([len(example.source) for example in examples])
    return examples[:max(1, int(np.searchsorted(sizes, budget, side='right')))]


class _Answers:
    """Looks up what runs detect at a place."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs
        # Detections by image; the best of each first.
        self._order = [np.lexsort((run.matches.rank, run.matches.image)) for run in runs]
        self._image = [run.matches.image[order] for run, order in zip(
            runs, self._order, strict=True)]

    def __call__(self, image_id: int, box: Box) -> dict[str, str]:
        answers = {}
        for run, order, image in zip(self._runs, self._order, self._image, strict=True):
            matches = run.matches
            position = np.searchsorted(matches.image_ids, image_id)
            rows = order[slice(*np.searchsorted(image, [position, position + 1]))]
            ious = box_iou(matches.box[rows], np.tile(np.array(box, dtype=float), (len(rows), 1)),
                           np.zeros(len(rows), dtype=bool))
            there = rows[ious >= MIN_IOU]
            answers[run.name] = NO_ANSWER if not len(there) else (
                f'{matches.class_names[matches.label[there[0]]]} {matches.score[there[0]]:.2f}')
        return answers
