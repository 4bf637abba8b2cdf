"""Recall of objects by their style, for data sets whose annotations have a 'style'."""
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from .matches import Matches


@dataclass(frozen=True)
class StyleRecall:
    """How many objects of a group are found, by whether training had their class in their style.

    Attributes:
        num_seen: objects in a style that their class had in training.
        found_seen: of these, the objects with a right detection at IoU 0.5, below the official cap.
        num_new: objects in another style.
        found_new: the same of these.
    """

    num_seen: int
    found_seen: int
    num_new: int
    found_new: int


def style_recall(matches: Matches, styles: Sequence[str], trained: Collection[tuple[int, str]],
                 group: str) -> StyleRecall:
    """Count the objects to be found of a group, and those that are found.

    Args:
        matches: of a run, with G objects.
        styles: (G,), of the objects.
        trained: labels and styles of the training objects.
        group: of the classes that count.

    Raises:
        ValueError: if there is not one style for each object.
    """
    objects = matches.objects
    if len(styles) != len(objects.label):
        raise ValueError(f'style_recall(styles=) expects one for each of the {len(objects.label)} '
                         f'objects, got {len(styles)}.')
    trained = set(trained)
    is_seen = np.array([pair in trained for pair in zip(objects.label.tolist(), styles,
                                                        strict=True)], dtype=bool)
    is_found = np.zeros(len(is_seen), dtype=bool)
    is_found[matches.object[matches.is_counted & matches.tp[:, 0]]] = True
    counts = ~objects.is_ignored & (matches.groups[objects.label] == group)
    return StyleRecall(*(int((counts & chosen).sum()) for chosen in (
        is_seen, is_seen & is_found, ~is_seen, ~is_seen & is_found)))
