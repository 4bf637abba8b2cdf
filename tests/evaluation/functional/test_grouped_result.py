import math

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation import GroupedResult


def test_any_groups_are_averaged_by_name():
    precision = np.full((10, 101, 4, 4), np.nan)
    for index, ap in enumerate((0.2, 0.4, 0.9)):  # the last category has no ground truth
        precision[:, :, index] = ap
    result = GroupedResult(precision, [{'id': i} for i in range(4)], ['1', '1', '2', '3'],
                           ('1', '2', '3'))
    summary = result.summary()
    assert [summary['AP1'], summary['AP2']] == pytest.approx([0.3, 0.9])
    assert math.isnan(summary['AP3'])
    assert summary['AP'] == pytest.approx(0.5)  # of three categories, not of two groups
