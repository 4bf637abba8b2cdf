"""AP of every class beside how often training saw it."""
import numpy as np
import pandas as pd

from .average_precision import average_precision, threshold_index
from .matches import Matches


def class_ap_frame(matches: Matches, image_count: np.ndarray,
                   instance_count: np.ndarray) -> pd.DataFrame:
    """AP of every class and its frequency in training.

    Args:
        matches: of a run.
        image_count: (C,), training images with the class, by rising category id. In LVIS files,
            those of validation included, the ``image_count`` of a category is that of training.
        instance_count: (C,), training instances of the class.

    Returns:
        One row per class, by rising category id: ``category_id``, ``name``, ``group``,
        ``image_count``, ``instance_count``, ``rank`` (0 for the class with most images, of equals
        the one with most instances), ``num_objects`` (to be found in this data set), ``ap``,
        ``ap50``, in [0, 1]; NaN for a class without objects.

    Raises:
        ValueError: if the counts are not one for each class.
    """
    for name, count in (('image_count', image_count), ('instance_count', instance_count)):
        if len(count) != matches.num_classes:
            raise ValueError(f'class_ap_frame({name}=) expects one number for each of the '
                             f'{matches.num_classes} classes, got {len(count)}. Take them from the '
                             'training annotations of the same data set.')
    ap = average_precision(matches)
    rank = np.empty(matches.num_classes, dtype=np.int64)
    rank[np.lexsort((-np.asarray(instance_count), -np.asarray(image_count)))] = \
        np.arange(matches.num_classes)
    return pd.DataFrame({
        'category_id': matches.category_ids, 'name': matches.class_names,
        'group': matches.groups, 'image_count': image_count, 'instance_count': instance_count,
        'rank': rank, 'num_objects': matches.num_objects(), 'ap': ap.mean(axis=0),
        'ap50': ap[threshold_index(0.5)]})
