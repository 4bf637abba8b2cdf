"""Trees of two levels over the classes: a coarser class, the parent, of each class.

Shapes: C classes in label order, numbers of parents P; a tree is (C,), int64 in [0, P).
"""
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any
from zlib import crc32

import numpy as np

from .files import read_annotations

# Numbers that a name is turned into: how often each of so many groups of letter triples is in it.
_NAME_DIMENSIONS = 512


def numbered(groups: Sequence) -> np.ndarray:
    """Any marks of C classes as a tree, whose parents are in the order of their first class."""
    number: dict[Any, int] = {}
    return np.array([number.setdefault(group, len(number)) for group in groups], dtype=np.int64)


def k_means_tree(points: np.ndarray, num_parents: int, seed: int = 0,
                 num_iterations: int = 100) -> np.ndarray:
    """Cluster the classes by k-means, from centers that are drawn as in k-means++.

    Args:
        points: (C, D), finite.
        num_parents: P, > 0.
        seed: of the draw.
        num_iterations: at most.

    Returns:
        (C,), all of P parents; fewer where there are fewer different points.
    """
    points = np.asarray(points, dtype=np.float64)
    rng = np.random.default_rng(seed)
    centers = points[[rng.integers(len(points))]]
    distance = _squared_distances(points, centers)[:, 0]
    while len(centers) < num_parents and distance.max() > 1e-12 * (points ** 2).sum(1).max():
        chosen = points[[rng.choice(len(points), p=distance / distance.sum())]]
        centers = np.concatenate([centers, chosen])
        distance = np.minimum(distance, _squared_distances(points, chosen)[:, 0])
    tree = None
    for _ in range(num_iterations):
        before, distances = tree, _squared_distances(points, centers)
        tree = distances.argmin(axis=1)
        if before is not None and (tree == before).all():
            break
        count = np.bincount(tree, minlength=len(centers))
        sums = np.zeros_like(centers)
        np.add.at(sums, tree, points)
        centers = np.where(count[:, None] > 0, sums / count.clip(min=1)[:, None], centers)
    # A center that lost all its points takes the one that is worst off in a larger cluster.
    count = np.bincount(tree, minlength=len(centers))
    for empty in np.flatnonzero(count == 0):
        own = np.where(count[tree] > 1, distances[np.arange(len(points)), tree], -1)
        taken = own.argmax()
        count[tree[taken]] -= 1
        tree[taken], count[empty] = empty, 1
    return numbered(tree)


def _squared_distances(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """(C, P)."""
    products = points @ centers.T
    return ((points ** 2).sum(1)[:, None] - 2 * products + (centers ** 2).sum(1)).clip(min=0)


def visual_tree(weights: np.ndarray, num_parents: int, seed: int = 0) -> np.ndarray:
    """Classes that a trained classifier finds alike: by the directions of its weights.

    Args:
        weights: (C, D), of the classifier of a trained detector.
        num_parents: P; see :func:`k_means_tree`.
        seed: see there.
    """
    norm = np.linalg.norm(weights, axis=1, keepdims=True)
    return k_means_tree(weights / np.where(norm > 0, norm, 1), num_parents, seed)


def box_statistics(data: dict) -> np.ndarray:
    """Mean and spread of the sizes and shapes of the boxes of each class, of equal scale.

    Sizes are shares of the image: logarithms of width and height, and of the ratio of both sides in
    pixels. Classes without boxes have the means over all classes.

    Args:
        data: content of an annotation file in COCO or LVIS format.

    Returns:
        (C, 6), mean 0 and standard deviation 1 over the classes.
    """
    label_of = {category['id']: label for label, category in enumerate(data['categories'])}
    size_of = {image['id']: (image['width'], image['height']) for image in data['images']}
    boxes = [(label_of[a['category_id']], *a['bbox'][2:], *size_of[a['image_id']])
             for a in data['annotations'] if min(a['bbox'][2:]) > 0]
    label, width, height, *size = np.array(boxes, dtype=np.float64).reshape(-1, 5).T
    values = np.log(np.stack([width / size[0], height / size[1], width / height], axis=1))
    label, num_classes = label.astype(np.int64), len(label_of)
    count = np.bincount(label, minlength=num_classes)[:, None]
    moments = np.zeros((2, num_classes, 3))
    for moment, power in zip(moments, (values, values ** 2), strict=True):
        np.add.at(moment, label, power)
    mean, square = moments / count.clip(min=1)
    statistics = np.concatenate([mean, np.sqrt((square - mean ** 2).clip(min=0))], axis=1)
    known = count[:, 0] > 0
    if not known.any():
        return np.zeros_like(statistics)
    center, spread = statistics[known].mean(axis=0), statistics[known].std(axis=0)
    return np.where(known[:, None], (statistics - center) / np.where(spread > 0, spread, 1), 0)


def geometric_tree(data: dict, num_parents: int, seed: int = 0) -> np.ndarray:
    """Classes of about the same size and shape: by :func:`box_statistics`."""
    return k_means_tree(box_statistics(data), num_parents, seed)


def lexical_tree(categories: Sequence[dict], num_parents: int, field: str | None = None,
                 seed: int = 0) -> np.ndarray:
    """Classes that are called alike: by a field of the categories, or by the letters of the names.

    Args:
        categories: C records of an annotation file.
        num_parents: P, without a field; see :func:`k_means_tree`.
        field: whose values are the parents, such as 'supercategory', or a hypernym that was added
            to the file; there are as many parents as values.
        seed: see :func:`k_means_tree`.

    Raises:
        ValueError: if a category lacks the field.
    """
    if field is not None:
        missing = [c.get('name', c['id']) for c in categories if field not in c]
        if missing:
            raise ValueError(f'lexical_tree(field=) expects a field of all categories, got '
                             f'{field!r}, which {missing[0]!r} lacks. Choose another.')
        return numbered([str(category[field]) for category in categories])
    names = [_letters(category) for category in categories]
    norm = np.linalg.norm(names, axis=1, keepdims=True)
    return k_means_tree(names / np.where(norm > 0, norm, 1), num_parents, seed)


def _letters(category: Mapping) -> np.ndarray:
    """How often each group of letter triples is in a name and its synonyms."""
    vector = np.zeros(_NAME_DIMENSIONS)
    for name in {str(category.get('name', '')), *map(str, category.get('synonyms', ()))}:
        for word in name.lower().replace('-', '_').split('_'):
            for start in range(len(word)):  # with the ends of the word
                triple = f' {word} '[start:start + 3]
                vector[crc32(triple.encode()) % _NAME_DIMENSIONS] += 1
    return vector


def read_class_trees(path: str | PathLike, num_classes: int,
                     num_parents: Sequence[int]) -> np.ndarray:
    """Read the file that ``tools/dataset_tools/build_class_trees.py`` writes.

    Args:
        path: of a JSON file: a list of trees, dictionaries of their name and their C parents.
        num_classes: C.
        num_parents: P of each tree.

    Returns:
        (T, C), int64.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds other trees.
    """
    data = read_annotations(path)
    try:
        trees = [tree['parents'] for tree in data]
    except (TypeError, KeyError):
        raise ValueError(f'{path} has no class trees. Build them again.') from None
    check_class_trees(trees, num_classes, num_parents, f'Class trees {path}')
    return np.array(trees, dtype=np.int64).reshape(len(trees), num_classes)


def check_class_trees(trees: Sequence[Sequence[int]], num_classes: int,
                      num_parents: Sequence[int], owner: str) -> None:
    """Check that there is a parent for each class in each tree.

    Raises:
        ValueError: beginning with ``owner``, if not.
    """
    shapes = [np.shape(tree) for tree in trees]
    if shapes != [(num_classes,)] * len(num_parents):
        raise ValueError(f'{owner} expects {len(num_parents)} lists of {num_classes} parents, got '
                         f'the shapes {shapes}. Build them for these classes.')
    used = [(int(np.min(tree)), 1 + int(np.max(tree))) for tree in trees]
    if any(low < 0 or number > expected
           for (low, number), expected in zip(used, num_parents, strict=True)):
        raise ValueError(f'{owner} expects parents below {tuple(num_parents)}, got trees of '
                         f'{tuple(number for _, number in used)}. Set num_parents to these numbers '
                         'in the config, or build other trees.')
