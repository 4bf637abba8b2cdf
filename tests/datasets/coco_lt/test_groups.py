import bacl  # noqa: F401
import pytest
from bacl.datasets.coco_lt import lt_groups


def test_groups_change_at_20_400_and_8000_instances():
    counts = [0, 19, 20, 399, 400, 7999, 8000, 300000]
    assert lt_groups(counts).tolist() == [1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize('thresholds, groups', [((5, ), [1, 2, 2]), ((1, 5, 6), [2, 3, 4])])
def test_groups_follow_other_thresholds(thresholds, groups):
    assert lt_groups([4, 5, 6], thresholds).tolist() == groups
