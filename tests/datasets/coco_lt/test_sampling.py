import hashlib

import bacl  # noqa: F401
import pytest
from bacl.datasets.coco_lt.sampling import (
    exponential_counts,
    sample_counts,
    sample_listed_images,
)
from bacl.datasets.coco_lt.simcal_index import IndexEntry
from hypothesis import given
from hypothesis import strategies as st

# Ids and images of the annotations of a class.
CATS = [{'id': i, 'image_id': image_id}
        for i, image_id in [(31, 1), (12, 1), (23, 2), (14, 2), (5, 2), (16, 3), (27, 4)]]


def by_hash(ids, seed):
    return sorted(ids, key=lambda i: hashlib.sha256(f'{seed}:{i}'.encode()).hexdigest())


def ids(annotations):
    return {annotation['id'] for annotation in annotations}


@pytest.mark.parametrize('seed', [0, 1])
@pytest.mark.parametrize('number', range(8))
def test_first_in_the_order_of_the_hash_are_kept(number, seed):
    expected = by_hash([cat['id'] for cat in CATS], seed)[:number]
    assert ids(sample_counts({'cat': CATS}, {'cat': number}, seed)) == set(expected)


@pytest.mark.parametrize('number', [3, 4, 5, 6])
def test_listed_images_keep_their_smallest_id_and_then_the_first_by_hash(number):
    index = {'cat': IndexEntry(number, [3, 2, 1])}
    expected = {12, 5, 16} | set(by_hash([31, 23, 14], 0)[:number - 3])
    assert ids(sample_listed_images({'cat': CATS}, index, 0)) == expected


def test_too_few_annotations_are_named_with_both_numbers():
    with pytest.raises(ValueError, match=r"needs 8 annotations of 'cat', got 7 in the source\."):
        sample_counts({'cat': CATS}, {'cat': 8}, 0)
    with pytest.raises(ValueError, match=r"needs 4 annotations of 'cat', got 2 in the images of"):
        sample_listed_images({'cat': CATS}, {'cat': IndexEntry(4, [3, 4])}, 0)


def test_listed_image_without_the_class_is_named():
    with pytest.raises(ValueError, match=r"no 'cat' in 2 of the 3 images .* for instance 5\."):
        sample_listed_images({'cat': CATS}, {'cat': IndexEntry(3, [6, 5, 1])}, 0)


def test_exponential_counts_by_hand():
    # 1000, 100, 10, 1 by rank; 'd' has only 7 of its 10.
    available = {'a': 2, 'b': 5000, 'd': 7, 'c': 100}
    assert exponential_counts(available, 1000, 1) == {'b': 1000, 'c': 100, 'd': 7, 'a': 1}


def test_exponential_counts_of_one_class_are_the_largest():
    assert exponential_counts({'a': 9}, 5, 2) == {'a': 5}


@given(st.lists(st.integers(0, 500), min_size=1, max_size=9), st.integers(1, 300),
       st.integers(0, 300))
def test_exponential_counts_are_within_their_bounds_and_fall(available, min_count, more):
    counts = exponential_counts(dict(enumerate(available)), min_count + more, min_count)
    assert all(counts[name] <= number for name, number in enumerate(available))
    assert all(number <= min_count + more for number in counts.values())
    assert sorted(counts.values(), reverse=True) == list(counts.values())
