import pytest
from bacl.annotations.group_thresholds import check_group_thresholds, lt_groups


def test_groups_change_at_20_400_and_8000_instances():
    counts = [0, 19, 20, 399, 400, 7999, 8000, 300000]
    assert lt_groups(counts).tolist() == [1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize('thresholds, groups', [((5, ), [1, 2, 2]), ((1, 5, 6), [2, 3, 4])])
def test_groups_follow_other_thresholds(thresholds, groups):
    assert lt_groups([4, 5, 6], thresholds).tolist() == groups


def test_increasing_thresholds_are_returned():
    assert check_group_thresholds([1, 20], 'Dataset') == (1, 20)


@pytest.mark.parametrize('thresholds', [
    (), (0, 20), (20, 20, 400), (400, 20), (20, '400'), (20, 40.5), (float('nan'), ), 20, None])
def test_thresholds_that_do_not_increase_are_refused(thresholds):
    with pytest.raises(ValueError, match=r'Dataset\(group_thresholds=\) expects increasing'):
        check_group_thresholds(thresholds, 'Dataset')
