import math

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.report.measures.class_balance import (
    gini,
    image_counts,
    imbalance_ratio,
    instance_counts,
    lorenz_curve,
    misplaced_share,
    relative_entropy,
    shares,
    wasserstein_to_uniform,
)
from hypothesis import given
from hypothesis import strategies as st

COUNTS = st.lists(st.integers(0, 1000), min_size=1, max_size=30).map(np.array)


def test_counts_of_a_hand_made_case():
    image, label = np.array([0, 0, 0, 2, 2]), np.array([1, 1, 3, 1, 3])
    assert instance_counts(label, 5).tolist() == [0, 3, 0, 2, 0]
    assert image_counts(image, label, 5).tolist() == [0, 2, 0, 2, 0]
    empty = np.array([], dtype=np.int64)
    assert image_counts(empty, empty, 2).tolist() == [0, 0]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3))))
def test_counts_of_images_are_those_of_sets(pairs):
    image, label = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    expected = [len({i for i, c in pairs if c == label}) for label in range(4)]
    assert image_counts(image, label, 4).tolist() == expected


def test_equal_classes_are_balanced():
    counts = np.array([5, 5, 5, 5])
    assert gini(counts) == pytest.approx(0) and wasserstein_to_uniform(counts) == pytest.approx(0)
    assert imbalance_ratio(counts) == 1 and relative_entropy(counts) == pytest.approx(1)
    assert misplaced_share(counts) == 0
    assert lorenz_curve(counts) == pytest.approx([0, .25, .5, .75, 1])


def test_one_class_with_all_objects_is_the_extreme():
    counts = np.array([0, 7, 0, 0])
    assert gini(counts) == pytest.approx(0.75)
    assert wasserstein_to_uniform(counts) == pytest.approx(3 / 8)
    assert imbalance_ratio(counts) == 1  # of classes with objects
    assert relative_entropy(counts) == 0 and math.copysign(1, relative_entropy(counts)) == 1
    assert misplaced_share(counts) == pytest.approx(0.75)


def test_hand_made_case():
    counts = np.array([1, 6, 3])
    assert lorenz_curve(counts) == pytest.approx([0, .1, .4, 1])
    # |differences| of all ordered pairs: 2 (5 + 2 + 3) = 20, over 2 * 3 * 10.
    assert gini(counts) == pytest.approx(20 / 60)
    # Shares by rank .6, .9, 1 against 1/3, 2/3, 1.
    assert wasserstein_to_uniform(counts) == pytest.approx((.6 - 1 / 3 + .9 - 2 / 3) / 3)
    assert imbalance_ratio(counts) == 6
    entropy = -(.1 * math.log(.1) + .6 * math.log(.6) + .3 * math.log(.3)) / math.log(3)
    assert relative_entropy(counts) == pytest.approx(entropy)
    assert misplaced_share(counts) == pytest.approx(.6 - 1 / 3)
    assert misplaced_share(np.array([[1, 6, 3], [2, 2, 2]])) == pytest.approx([.6 - 1 / 3, 0])


@given(COUNTS)
def test_measures_agree_with_their_definitions(counts):
    if counts.sum() == 0:
        for measure in (gini, relative_entropy, wasserstein_to_uniform, misplaced_share,
                        imbalance_ratio):
            assert math.isnan(measure(counts))
        return
    num = len(counts)
    pairs = sum(abs(int(a) - int(b)) for a in counts for b in counts)
    assert gini(counts) == pytest.approx(pairs / (2 * num * counts.sum()), abs=1e-9)
    # Optimal transport in one dimension: objects sorted by position, the i-th to the i-th.
    ranked = sorted(counts.tolist(), reverse=True)
    there = np.repeat(np.arange(num), np.array(ranked) * num)  # every object as num parts
    here = np.repeat(np.arange(num), counts.sum())
    assert wasserstein_to_uniform(counts) == pytest.approx(
        np.abs(there - here).mean() / num, abs=1e-9)
    assert wasserstein_to_uniform(counts) == pytest.approx(gini(counts) / 2, abs=1e-9)
    surplus = sum(max(0, count - counts.sum() / num) for count in counts.tolist())
    assert misplaced_share(counts) == pytest.approx(surplus / counts.sum(), abs=1e-9)
    assert 0 <= relative_entropy(counts) <= 1 + 1e-9
    assert shares(counts).sum() == pytest.approx(1)


def test_a_single_class_is_balanced():
    assert relative_entropy(np.array([3])) == 1 and gini(np.array([3])) == 0
