import math
from collections import Counter

import bacl  # noqa: F401
import pytest
import torch
from bacl.datasets import RepeatFactorSampler, repeat_factor, repeat_factors, round_at_random
from hypothesis import given
from hypothesis import strategies as st
from mmdet.registry import DATA_SAMPLERS
from mmengine.dataset import ClassBalancedDataset, DefaultSampler

IMAGES = [[0, 0, 0], [0], [0, 1, 1], [0, 2], [], [0], [0], [0], [0], [0]]
labels_of_images = st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=8)


class Images:
    """A dataset of which only the classes in each image are known."""

    def __init__(self, classes):
        self.classes = classes

    def __len__(self):
        return len(self.classes)

    def get_cat_ids(self, index):
        return self.classes[index]


def test_factors_by_hand():
    # Class 1 is in 1 of 10 images, so its factor is sqrt(0.4 / 0.1); class 0 is in 9 of them.
    assert repeat_factors(IMAGES, 0.4).tolist() == [1, 1, 2, 2, 1, 1, 1, 1, 1, 1]
    # Of the 14 instances, 2 are of class 1 and 1 is of class 2.
    one, two = (math.sqrt(0.4 / math.sqrt(0.1 * count / 14)) for count in (2, 1))
    assert repeat_factors(IMAGES, 0.4, instance_aware=True).tolist() == pytest.approx(
        [1, 1, one, two, 1, 1, 1, 1, 1, 1])


@given(labels_of_images, st.floats(0, 1))
def test_factors_are_those_of_mmengine(images, oversample_thr):
    wrapper = ClassBalancedDataset.__new__(ClassBalancedDataset)
    wrapper.dataset = Images(images)
    expected = wrapper._get_repeat_factors(wrapper.dataset, oversample_thr)
    assert repeat_factors(images, oversample_thr).tolist() == pytest.approx(expected)


@given(labels_of_images, st.floats(0, 1))
def test_with_an_instance_in_each_image_irfs_is_rfs(images, oversample_thr):
    images = [labels[:1] for labels in images if labels]
    assert repeat_factors(images, oversample_thr, instance_aware=True).tolist() == pytest.approx(
        repeat_factors(images, oversample_thr).tolist())


@given(st.lists(st.floats(1, 5), max_size=10), st.integers(0, 99))
def test_numbers_are_rounded_factors_and_their_sum_is_that_of_the_factors(factors, seed):
    generator = torch.Generator().manual_seed(seed)
    counts = round_at_random(torch.tensor(factors, dtype=torch.float64), generator).tolist()
    assert sum(counts) == math.ceil(math.fsum(factors) - 1e-6)
    excess = [count - math.ceil(factor) for count, factor in zip(counts, factors, strict=True)]
    assert sum(max(value, 0) for value in excess) <= 1
    assert all(count >= math.floor(factor + 1e-9)
               for count, factor in zip(counts, factors, strict=True))


def test_numbers_have_the_factors_as_means():
    factors = torch.tensor([1.0, 1.25, 1.5, 2.75, 1.5], dtype=torch.float64)  # 8 together
    generator = torch.Generator().manual_seed(0)
    counts = torch.stack([round_at_random(factors, generator) for _ in range(2000)]).double()
    # Five standard deviations of the mean of 2,000 draws, each at most one half.
    torch.testing.assert_close(counts.mean(0), factors, rtol=0, atol=5 * 0.5 / 2000 ** 0.5)
    assert (counts[:, 0] == 1).all()


def drawn(monkeypatch, rank=0, world_size=1, epoch=0, **kwargs):
    monkeypatch.setattr(repeat_factor, 'get_dist_info', lambda: (rank, world_size))
    sampler = DATA_SAMPLERS.build(dict(
        type='RepeatFactorSampler', dataset=Images(IMAGES), seed=3, **kwargs))
    sampler.set_epoch(epoch)
    indices = list(sampler)
    assert len(indices) == len(sampler)
    return indices


def test_an_epoch_has_each_image_as_often_as_its_factor_says(monkeypatch):
    epochs = [drawn(monkeypatch, oversample_thr=0.4, epoch=epoch) for epoch in range(2)]
    for indices in epochs:
        assert Counter(indices) == {index: 1 + (index in (2, 3)) for index in range(10)}
    assert epochs[0] != epochs[1]
    assert epochs[0] == drawn(monkeypatch, oversample_thr=0.4)  # resumed


def test_an_epoch_may_have_as_many_images_as_without_repetitions():
    sampler = RepeatFactorSampler(Images(IMAGES), 0.4, keeps_length=True, seed=0)
    counts = Counter()
    for epoch in range(600):
        sampler.set_epoch(epoch)
        drawn = list(sampler)
        assert len(drawn) == len(sampler) == len(IMAGES)
        counts.update(drawn)
    # Images with classes 1 and 2 still count twice as much as others.
    mean = [counts[index] / 600 for index in range(10)]
    assert mean == pytest.approx([10 / 12 * factor for factor in [1, 1, 2, 2, *[1] * 6]], abs=0.1)


def test_ranks_share_the_epoch(monkeypatch):
    kwargs = dict(oversample_thr=0.3, instance_aware=True)
    whole = drawn(monkeypatch, **kwargs)
    assert len(whole) % 5
    ranks = [drawn(monkeypatch, rank, 5, **kwargs) for rank in range(5)]
    together = [index for step in zip(*ranks, strict=True) for index in step]
    assert together == whole + whole[:-len(whole) % 5]


def test_repetitions_of_an_image_are_augmented_apart(monkeypatch):
    # SeedHook takes other samplers of mmengine's for such as give each image once.
    monkeypatch.setattr(repeat_factor, 'get_dist_info', lambda: (0, 1))
    assert not isinstance(RepeatFactorSampler(Images(IMAGES), 0.4, seed=0), DefaultSampler)


def test_without_a_threshold_it_is_a_plain_sampler(monkeypatch):
    assert sorted(drawn(monkeypatch, oversample_thr=0)) == list(range(10))
    with pytest.raises(ValueError, match='oversample_thr'):
        RepeatFactorSampler(Images(IMAGES), -1)


def test_a_dataset_without_images_has_an_empty_epoch():
    assert list(RepeatFactorSampler(Images([]), 1e-3)) == []
    assert repeat_factor.epoch_length(torch.zeros(0)) == 0
