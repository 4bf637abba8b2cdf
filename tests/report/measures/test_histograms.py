import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.report.measures.histograms import count_bins, grouped_histogram
from hypothesis import given
from hypothesis import strategies as st


def test_groups_are_counted_apart_and_the_outermost_bins_are_open():
    values = np.array([-1, 0, 1, 1.9, 2, 9, np.nan])
    group = np.array([0, 2, 0, 0, 2, 2, 0])
    counts = grouped_histogram(values, np.array([0, 1, 2, 3]), group, 3)
    assert counts.tolist() == [[1, 2, 0], [0, 0, 0], [1, 0, 2]]


@pytest.mark.parametrize(('values', 'names'), [
    ([0, 0], ['0']), ([1, 3], ['0', '1', '2', '3']), ([0] * 999 + [50], ['0', '1+'])])
def test_bins_of_small_numbers_are_the_numbers(values, names):
    assert count_bins(np.array(values))[1] == names


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=60), st.integers(2, 30))
def test_every_number_is_in_the_bin_that_is_named_after_it(values, max_bins):
    values = np.array(values)
    starts, names = count_bins(values, max_bins)
    assert len(starts) == len(names) <= max_bins
    for value in values:
        name = names[np.searchsorted(starts, value, side='right') - 1]
        first, _, last = name.replace('+', f'–{values.max()}').partition('–')
        assert int(first) <= value <= int(last or first)
