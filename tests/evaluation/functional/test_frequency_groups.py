import math
import warnings

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation import FREQUENCIES, group_mean
from hypothesis import given
from hypothesis import strategies as st


def test_category_without_ground_truth_does_not_count():
    nan = float('nan')
    means = group_mean([0.25, nan, 0.75, 0.5, nan], list('rrrcf'))
    assert (means['r'], means['c']) == (0.5, 0.5)
    assert math.isnan(means['f'])


def test_empty_group_is_nan_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert all(math.isnan(mean) for mean in group_mean([], []).values())


def test_values_and_groups_must_match():
    with pytest.raises(ValueError, match=r'groups=.* 2 values, got 1'):
        group_mean([0.5, 0.5], ['r'])


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from(FREQUENCIES)), min_size=1))
def test_group_means_weighted_by_size_are_the_mean(pairs):
    values, groups = zip(*pairs, strict=True)
    means = group_mean(values, groups)
    total = sum(means[name] * groups.count(name) for name in set(groups))
    assert total / len(values) == pytest.approx(np.mean(values), abs=1e-12)
