"""Ground truth and models side by side, on images chosen by rule and not by hand.

As many of a model's detections are drawn as the image has objects, those with the highest scores:
scores of different losses are not on one scale, so that no threshold would be fair to all. Only
what counts in the evaluation is drawn and counted: no crowds or other ignored objects, and no
detections of them, of classes that are not labelled in the image, or beyond the cap.

Reference: Fig. 6 of the paper.
"""
from collections.abc import Sequence

import numpy as np
from bacl.visualization.group_styles import GroupStyles
from numpy.typing import NDArray

from ..results.matches import Matches
from .inputs import Run, Validation
from .pictures import Mark, Panel, Picture, open_image, picture_source

RULES = {'gain': 'largest gain from {first} to {last}',
         'loss': 'largest loss from {first} to {last}',
         'rare': 'most objects of the rarest group ({rare})',
         'random': 'random'}


def shown(matches: Matches) -> NDArray[np.bool_]:
    """Mask of the detections that are drawn: (N,), bool, the first K of an image with K objects."""
    candidates = np.flatnonzero(matches.is_counted & ~matches.ignored[:, 0])
    order = candidates[np.lexsort((matches.rank[candidates], matches.image[candidates]))]
    image = matches.image[order]
    rank = np.arange(len(order)) - np.searchsorted(image, image)
    result = np.zeros(len(matches), dtype=bool)
    result[order] = rank < _num_objects(matches)[image]
    return result


def num_found(matches: Matches) -> NDArray[np.int64]:
    """Number of objects of each image that the drawn detections find, at IoU 0.5: (I,)."""
    right = shown(matches) & matches.tp[:, 0]
    return np.bincount(matches.image[right], minlength=matches.num_images)


def _num_objects(matches: Matches) -> NDArray[np.int64]:
    """Objects to be found in each image: (I,)."""
    objects = matches.objects
    return np.bincount(objects.image[~objects.is_ignored], minlength=matches.num_images)


def rarest_group(matches: Matches) -> str:
    """The group of the fewest training images that has objects here; '' without objects."""
    present = set(matches.groups[matches.num_objects() > 0].tolist())
    return next((group for group in matches.group_names if group in present), '')


def choose_images(runs: Sequence[Run], num_per_rule: int = 3,
                  seed: int = 0) -> list[tuple[int, str]]:
    """Choose images that say most; of equal ones the first in the file's order of ids.

    Args:
        runs: the first and the last are compared.
        num_per_rule: at most so many images for each of :data:`RULES`, each image once.
        seed: of the random ones.

    Returns:
        Position of an image among ``matches.image_ids``, and the key of its rule.
    """
    matches = runs[0].matches
    objects = matches.objects
    num_objects = _num_objects(matches)
    gain = num_found(runs[-1].matches) - num_found(matches)
    is_rare = ~objects.is_ignored & (matches.groups[objects.label] == rarest_group(matches))
    num_rare = np.bincount(objects.image[is_rare], minlength=matches.num_images)
    shuffled = np.random.default_rng(seed).permutation(matches.num_images)
    chosen: dict[int, str] = {}
    for rule, worth in (('gain', gain), ('loss', -gain), ('rare', num_rare), ('random', None)):
        ranked = shuffled if worth is None else np.argsort(-worth, kind='stable')
        worth = num_objects if worth is None else worth
        candidates = (i for i in ranked.tolist() if worth[i] > 0 and i not in chosen)
        chosen.update((i, rule) for i, _ in zip(candidates, range(num_per_rule), strict=False))
    return list(chosen.items())


def draw_gallery(validation: Validation, runs: Sequence[Run], num_per_rule: int = 3,
                 seed: int = 0) -> list[Picture]:
    """Draw the images of :func:`choose_images`, the annotations first, then each run.

    Raises:
        FileNotFoundError: if an image is missing.
        ValueError: if it cannot be decoded.
    """
    records = {image['id']: image for image in validation.annotations['images']}
    matches = runs[0].matches
    groups, rarest = GroupStyles(validation.classes.groups), rarest_group(matches)
    rare = groups.label(rarest) if rarest else ''
    pictures = []
    for position, rule in choose_images(runs, num_per_rule, seed):
        record = records[int(matches.image_ids[position])]
        image = open_image(validation.image_path(record))
        reason = RULES[rule].format(first=runs[0].name, last=runs[-1].name, rare=rare)
        pictures.append(Picture(
            f'picture-{record["id"]}', f'Image {record["id"]}: {reason}', picture_source(image),
            image.width, image.height,
            [_annotated(matches, position, groups),
             *(_detected(run, position, groups) for run in runs)]))
    return pictures


def _annotated(matches: Matches, image: int, groups: GroupStyles) -> Panel:
    objects = matches.objects
    rows = np.flatnonzero((objects.image == image) & ~objects.is_ignored)
    return Panel(f'annotated: {len(rows)}', [
        Mark(tuple(objects.box[row].tolist()), matches.class_names[objects.label[row]],
             groups.position(matches.groups[objects.label[row]])) for row in rows])


def _detected(run: Run, image: int, groups: GroupStyles) -> Panel:
    matches = run.matches
    rows = np.flatnonzero((matches.image == image) & shown(matches))
    rows = rows[np.argsort(matches.score[rows], kind='stable')]  # the best one on top
    right = int(matches.tp[rows, 0].sum())
    return Panel(f'{run.name}: {right} of {_num_objects(matches)[image]} found', [
        Mark(tuple(matches.box[row].tolist()), matches.class_names[matches.label[row]],
             groups.position(matches.groups[matches.label[row]]), bool(matches.tp[row, 0]),
             float(matches.score[row])) for row in rows])
