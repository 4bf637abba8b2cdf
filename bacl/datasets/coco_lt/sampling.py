"""Choosing which annotations of a dataset remain in its long-tailed version.

Annotations are chosen one by one, not with their image: an image keeps those of frequent classes
when it loses one of a rare class. A, B, C name the levels of :func:`.builder.build_coco_lt`.
"""
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from .simcal_index import IndexEntry

AnnotationsOf = Mapping[str, Sequence[dict]]  # per class name, the annotations of the source


def sample_listed_images(annotations_of: AnnotationsOf, index: Mapping[str, IndexEntry],
                         seed: int) -> list[dict]:
    """Level A: as many annotations as the index says, at least one in each image that it lists.

    In each listed image the annotation with the smallest id is kept, then further ones in
    :func:`draw_order`. A class with just enough annotations in these images keeps all of them.

    Args:
        annotations_of: source annotations per class name.
        index: wanted annotations per class name.
        seed: of the order.

    Returns:
        The kept annotations.

    Raises:
        ValueError: if the source lacks a listed image of a class or has too few annotations there.
    """
    kept = []
    for name, (number, image_ids) in index.items():
        listed = set(image_ids)
        first, rest = {}, []
        for annotation in sorted(annotations_of[name], key=lambda each: each['id']):
            image_id = annotation['image_id']
            if image_id in listed and first.setdefault(image_id, annotation) is not annotation:
                rest.append(annotation)
        missing = listed - set(first)
        if missing:
            raise ValueError(f'The source has no {name!r} in {len(missing)} of the {len(listed)} '
                             f'images that the index lists, for instance {min(missing)}. '
                             'Take instances_train2017.json and the index of SimCal.')
        check_available(name, number, len(first) + len(rest), 'in the images of the index')
        kept += [*first.values(), *draw(rest, number - len(first), seed)]
    return kept


def sample_counts(annotations_of: AnnotationsOf, counts: Mapping[str, int],
                  seed: int) -> list[dict]:
    """Level B: a given number of annotations per class, the first in :func:`draw_order`.

    Args:
        annotations_of: source annotations per class name.
        counts: wanted number per class name.
        seed: of the order.

    Returns:
        The kept annotations.

    Raises:
        ValueError: naming a class of which the source has too few.
    """
    kept = []
    for name, number in counts.items():
        check_available(name, number, len(annotations_of[name]), 'in the source')
        kept += draw(annotations_of[name], number, seed)
    return kept


def exponential_counts(available: Mapping[str, int], max_count: int,
                       min_count: int) -> dict[str, int]:
    """Level C: numbers that fall exponentially over the classes, the most frequent first.

    The class of rank r of C (0 has the most annotations; of equal ones the first listed) gets ::

        max_count * (min_count / max_count) ** (r / (C - 1))

    rounded, or all of its annotations if it has fewer.

    Args:
        available: annotations in the source per class name.
        max_count: number of the most frequent class.
        min_count: number of the least frequent class, in [1, max_count].

    Returns:
        Number per class name, by rank.

    Example:
        >>> exponential_counts({'cat': 8, 'dog': 500, 'emu': 90}, max_count=100, min_count=1)
        {'dog': 100, 'emu': 10, 'cat': 1}
    """
    names = sorted(available, key=lambda name: -available[name])
    wanted = max_count * (min_count / max_count)**np.linspace(0, 1, len(names))
    return {name: min(int(number), available[name])
            for name, number in zip(names, np.rint(wanted), strict=True)}


def draw(annotations: Sequence[dict], number: int, seed: int) -> list[dict]:
    """The first ``number`` annotations in :func:`draw_order`."""
    return sorted(annotations, key=lambda each: draw_order(each['id'], seed))[:number]


def draw_order(annotation_id: int, seed: int) -> bytes:
    """Place of an annotation in a random order: SHA-256 of ``'<seed>:<annotation id>'``.

    It depends on nothing else, so the choice is the same on every machine and in every version of
    a random number generator.
    """
    return hashlib.sha256(f'{seed}:{annotation_id}'.encode()).digest()


def check_available(name: str, wanted: int, available: int, where: str) -> None:
    """Raise a ``ValueError`` if a class has fewer annotations than wanted."""
    if wanted > available:
        raise ValueError(f'COCO-LT needs {wanted} annotations of {name!r}, got {available} {where}.'
                         ' Take all of instances_train2017.json as the source.')
