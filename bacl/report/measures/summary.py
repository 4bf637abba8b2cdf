"""The imbalances of a dataset in one table."""
import numpy as np
import pandas as pd

from ..objects import ObjectTable
from .box_geometry import Pyramid, aspect_ratios
from .class_balance import (
    gini,
    image_counts,
    imbalance_ratio,
    instance_counts,
    misplaced_share,
    relative_entropy,
    shares,
    wasserstein_to_uniform,
)
from .image_content import classes_per_image, objects_per_image
from .location import central_share

# The problem of the review that a row measures.
CLASSES, SCALE, LEVELS, LOCATION, BATCH = (
    'class (dataset)', 'box scale', 'feature level', 'object location', 'class (batch)')


def imbalance_summary(table: ObjectTable, pyramid: Pyramid | None = None) -> pd.DataFrame:
    """Measure the imbalances of a dataset, one row per measure.

    Args:
        table: its objects.
        pyramid: how the detector sees them; None for that of the usual Faster R-CNN.

    Returns:
        Columns ``problem`` (in the words of the review), ``measure``, ``value`` (a number; NaN
        where there is no object) and ``meaning``.

    Reference:
        Oksuz et al., "Imbalance Problems in Object Detection: A Review", TPAMI 2020, Table 1 for
        the problems; Section 9.2 asks for such measures. Those of a training are in
        :class:`.training_record.TrainingRecord`.
    """
    pyramid = pyramid or Pyramid()
    rows = [*_class_rows(table), *_scale_rows(table, pyramid), *_location_rows(table),
            *_image_rows(table)]
    return pd.DataFrame(rows, columns=['problem', 'measure', 'value', 'meaning'])


def _class_rows(table: ObjectTable) -> list[tuple]:
    counts = instance_counts(table.label, table.num_classes)
    images = image_counts(table.image, table.label, table.num_classes)
    rows = [
        ('images', table.num_images, 'with or without objects'),
        ('objects', len(table.label), 'annotations, crowds included'),
        ('classes', table.num_classes, 'in the annotation file'),
        ('classes without objects', int((counts == 0).sum()), 'cannot be learnt from this part'),
        ('largest class (objects)', counts.max(), 'of the most frequent class'),
        ('median class (objects)', float(np.median(counts)), 'half of the classes have fewer'),
        ('imbalance ratio', imbalance_ratio(counts),
         'most over fewest objects, of classes that have any; 1 is balanced'),
        ('Gini coefficient, objects', gini(counts),
         f'0: equal classes; {1 - 1 / table.num_classes:.3g}: one class has all objects'),
        ('Gini coefficient, images', gini(images), 'the same of the images with the class'),
        ('relative entropy', relative_entropy(counts), '1: equal classes; 0: one class'),
        ('Wasserstein distance to uniform', wasserstein_to_uniform(counts),
         'share of the class ranking that an object has to move on average; half of the Gini '
         'coefficient'),
        ('misplaced objects', float(misplaced_share(counts)),
         'share that would have to be of another class for equal classes'),
    ]
    for group in np.unique(table.classes.group):
        in_group, label = table.classes.group == group, table.classes.groups[group].label
        rows += [(f'classes, {label}', int(in_group.sum()), 'of the frequency group'),
                 (f'share of objects, {label}', shares(counts)[in_group].sum(),
                  f'{in_group.mean():.1%} of the classes')]
    return [(CLASSES, *row) for row in rows]


def _scale_rows(table: ObjectTable, pyramid: Pyramid) -> list[tuple]:
    side = pyramid.sides(table.box, table.image, table.image_sizes)
    low, median, high = np.quantile(side, [0.05, 0.5, 0.95]) if len(side) else [np.nan] * 3
    ratio = aspect_ratios(table.box)
    stretched = np.maximum(ratio, 1 / ratio)[~np.isnan(ratio)]
    by_level = np.bincount(pyramid.levels(side), minlength=len(pyramid.strides))
    resized = 'in the images as they are' if pyramid.scale is None else \
        f'after resizing to {max(pyramid.scale)} x {min(pyramid.scale)} px'
    rows = [(SCALE, 'median box side (px)', median, f'√(width × height) {resized}'),
            (SCALE, 'spread of box sides', high / low if low else np.nan,
             '95th over 5th percentile; 1: all objects have the same size'),
            (SCALE, 'share of long boxes', (stretched > 3).mean() if len(stretched) else np.nan,
             'longer side more than 3 times the shorter')]
    rows += [(LEVELS, f'share of objects on stride {stride}', share,
              f'level of the feature pyramid that their features come from, {resized}')
             for stride, share in zip(pyramid.strides, shares(by_level), strict=True)]
    return [*rows, (LEVELS, 'relative entropy of the levels', relative_entropy(by_level),
                    '1: equal levels; 0: all objects on one')]


def _location_rows(table: ObjectTable) -> list[tuple]:
    return [(LOCATION, 'share of centres in the middle ninth',
             central_share(table.box, table.image_sizes[table.image]),
             f'{1 / 9:.3f}: all places equally likely')]


def _image_rows(table: ObjectTable) -> list[tuple]:
    objects = objects_per_image(table.image, table.num_images)
    classes = classes_per_image(table.image, table.label, table.num_images, table.num_classes)
    if not table.num_images:
        objects = classes = np.array([np.nan])
    return [(BATCH, 'objects per image', objects.mean(), 'mean'),
            (BATCH, 'most objects in an image', objects.max(), ''),
            (BATCH, 'classes per image', classes.mean(), 'mean; a batch has few of all classes'),
            (BATCH, 'images without objects', np.mean(objects == 0), 'share of the images')]
