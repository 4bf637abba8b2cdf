"""Classes of LVIS, by the keys of their groups."""
import numpy as np
import pytest
from bacl.annotations import ClassTable
from bacl.annotations.class_table import LVIS_GROUPS


@pytest.fixture(scope='session')
def lvis_classes():
    """A function that makes a table of classes with the given groups, such as 'rcf'."""

    def make(keys, names=None, image_count=None):
        counts = np.arange(1, len(keys) + 1) if image_count is None else np.asarray(image_count)
        return ClassTable(tuple(names or (f'class {c}' for c in range(len(keys)))), counts,
                          2 * counts, 1000, LVIS_GROUPS, np.array(['rcf'.index(k) for k in keys]))

    return make
