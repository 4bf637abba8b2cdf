import numpy as np
import pytest
from bacl.annotations import ClassTable
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.visualization.class_picture import draw_classes


def classes(image_count, group):
    counts = np.array(image_count)
    return ClassTable(tuple('abcdefgh')[:len(counts)], counts, counts, 1000, LVIS_GROUPS,
                      np.array(group))


def coloured(picture, colour):
    """Columns in which a colour of a group stands out."""
    rgb = np.array([int(colour[i:i + 2], 16) for i in (1, 3, 5)])
    # Drawn with 60 % opacity on white.
    near = np.abs(picture.astype(int) - (0.6 * rgb + 0.4 * 255)).sum(axis=2) < 12
    return np.flatnonzero(near[:, :560].any(axis=0))  # left of the legend


def test_points_stand_where_counts_and_values_are():
    picture = draw_classes(np.array([1., 9.]), classes([1, 1000], [0, 2]), 'value')
    assert picture.shape == (400, 700, 3) and picture.dtype == np.uint8
    rare, frequent = coloured(picture, '#D55E00'), coloured(picture, '#009E73')
    assert rare.size and rare.max() < 300
    assert frequent.size and frequent.min() > 400


def test_other_than_one_value_for_each_class_is_refused():
    with pytest.raises(ValueError, match=r'values=.* 2 classes, got the shape \(3,\)'):
        draw_classes(np.ones(3), classes([1, 2], [0, 1]), 'value')
