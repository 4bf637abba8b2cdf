import numpy as np
import pytest
from bacl.datasets.emoji_lt.longtail import (
    assign_to_images,
    frequency_group,
    long_tailed_image_counts,
)


def test_counts_are_those_of_paper_and_pencil():
    # 100 * 10^(0.5/2) = 177.8, 100 * 10^(-0.5/2) = 56.2, 100 * 10^(-1.5/2) = 17.8,
    # 100 * 10^(-2.5/2) = 5.6, 100 * 10^(-3.5/2) = 1.8
    assert long_tailed_image_counts(2, 2, 1).tolist() == [178, 56, 18, 6, 2]


@pytest.mark.parametrize('sizes', [(8, 14, 2), (48, 44, 28), (337, 461, 405), (1, 1, 1), (0, 1, 0)])
def test_counts_split_into_the_requested_groups(sizes):
    counts = long_tailed_image_counts(*sizes)
    groups = [frequency_group(count) for count in counts]
    assert tuple(groups.count(group) for group in 'rcf') == sizes
    assert (np.diff(counts) <= 0).all() and counts[-1] >= 1


def test_counts_fall_exponentially():
    counts = long_tailed_image_counts(48, 44, 28)
    rate = np.diff(np.log10(counts[counts >= 30]))
    assert np.allclose(rate, -1 / 44, atol=0.02)


@pytest.mark.parametrize(('image_count', 'group'),
                         [(1, 'r'), (10, 'r'), (11, 'c'), (100, 'c'), (101, 'f')])
def test_groups_are_those_of_lvis(image_count, group):
    assert frequency_group(image_count) == group


def test_each_category_goes_to_as_many_different_images_as_asked():
    counts = np.array([40, 7, 1, 0, 12])
    images = assign_to_images(counts, 40, np.random.default_rng(3))
    assert len(images) == 40
    assert all(len(set(categories)) == len(categories) for categories in images)
    assert np.bincount(np.concatenate(images).astype(int), minlength=5).tolist() == counts.tolist()


def test_images_get_different_numbers_of_categories_but_none_is_empty():
    counts = long_tailed_image_counts(48, 44, 28)
    sizes = [len(categories)
             for categories in assign_to_images(counts, 1500, np.random.default_rng(0))]
    assert min(sizes) >= 1 and max(sizes) <= 12
    assert np.std(sizes) > 1
