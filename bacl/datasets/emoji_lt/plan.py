"""The contents of every image of Emoji-LT, decided before any is drawn."""
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .longtail import assign_to_images, frequency_group, long_tailed_image_counts
from .presets import Preset
from .sources import MIN_STYLES, Emoji, iter_emoji

# Drawn by this vendor, a category is seen in val only: as with real things, not every look of a
# category occurs in training.
VAL_ONLY_VENDOR = 'FB'
# Number of styles that a category of a group shows in training; all but one vendor's if frequent.
# So rare categories lack diversity, not only images.
NUM_TRAIN_STYLES = {'r': 2, 'c': 3, 'f': None}
# Share of objects that bring a second one of their category into the image.
TWIN_SHARE = 0.04

# First word of the random streams, next to the seed.
_CATEGORIES, _TRAIN, _VAL, FEDERATION_STREAM, IMAGE_LEVEL_STREAM = range(5)
SPLIT_STREAMS = {'train': _TRAIN, 'val': _VAL}


class PlannedObject(NamedTuple):
    """An object to be drawn.

    Attributes:
        category: position of its category in :attr:`Plan.categories`.
        vendor: whose drawing of it.
        drawing: the file of the drawing.
    """

    category: int
    vendor: str
    drawing: Path


class Plan(NamedTuple):
    """Content of a dataset.

    Attributes:
        categories: C emoji, in the order of their code points.
        images: per split, 'train' and 'val', the objects of every image, from bottom to top.
        train_styles: per category, the drawings that training may show, file per vendor.
    """

    categories: list[Emoji]
    images: dict[str, list[list[PlannedObject]]]
    train_styles: list[dict[str, Path]]


def plan_dataset(preset: Preset, seed: int) -> Plan:
    """Choose the categories, how often each occurs, in which images and in which styles.

    Args:
        preset: sizes.
        seed: the same gives the same plan.

    Returns:
        The plan.

    Raises:
        ImportError: if a package with drawings or names is missing or has another version.
        RuntimeError: if there are fewer usable emoji than the preset needs.
    """
    rng = np.random.default_rng([seed, _CATEGORIES])
    categories = choose_categories(preset.num_categories, rng)
    counts = rng.permutation(long_tailed_image_counts(
        preset.num_rare, preset.num_common, preset.num_frequent))
    val_counts = np.full(len(categories), preset.val_images_per_category)
    train_styles = [choose_train_styles(emoji, frequency_group(count), rng)
                    for emoji, count in zip(categories, counts, strict=True)]
    val_styles = [emoji.styles for emoji in categories]
    return Plan(categories, {
        'train': plan_split(counts, preset.num_train, train_styles, rng),
        'val': plan_split(val_counts, preset.num_val, val_styles, rng)}, train_styles)


def choose_categories(num_categories: int, rng: np.random.Generator) -> list[Emoji]:
    """Draw emoji and sort them by code points, which unlike names never change."""
    categories = list(islice(iter_emoji(rng), num_categories))
    if len(categories) < num_categories:
        raise RuntimeError(f'Emoji-LT expects {num_categories} emoji with {MIN_STYLES} usable '
                           f'styles, got {len(categories)}. Choose a smaller preset.')
    return sorted(categories, key=lambda emoji: emoji.code)


def choose_train_styles(emoji: Emoji, frequency: str,
                        rng: np.random.Generator) -> dict[str, Path]:
    """Draw the styles of an emoji that occur in training: files per vendor."""
    vendors = [vendor for vendor in emoji.styles if vendor != VAL_ONLY_VENDOR]
    num_styles = NUM_TRAIN_STYLES[frequency]
    chosen = [vendors[index] for index in rng.permutation(len(vendors))[:num_styles]]
    return {vendor: emoji.styles[vendor] for vendor in chosen}


def plan_split(image_counts: np.ndarray, num_images: int, styles: list[dict[str, Path]],
               rng: np.random.Generator) -> list[list[PlannedObject]]:
    """Decide the objects of every image of a split.

    Args:
        image_counts: (C,), images per category.
        num_images: number of images.
        styles: per category, the drawings to choose from, file per vendor.
        rng: draws images, twins, styles and the order of the objects.

    Returns:
        The objects of every image, from bottom to top.
    """
    images = []
    for categories in assign_to_images(image_counts, num_images, rng):
        twins = [category for category in categories if rng.random() < TWIN_SHARE]
        objects = []
        for category in categories + twins:
            choices = list(styles[category].items())
            objects.append(PlannedObject(category, *choices[rng.integers(len(choices))]))
        images.append([objects[index] for index in rng.permutation(len(objects))])
    return images
