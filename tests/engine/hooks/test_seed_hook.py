import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from bacl.engine.hooks import SeedHook
from bacl.engine.hooks.seed_hook import derive_seed
from mmengine.dataset import BaseDataset, ClassBalancedDataset, DefaultSampler, RepeatDataset
from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import DataLoader, Sampler


class Draws(BaseDataset):
    """A sample is its index and what the generators give."""

    def load_data_list(self):
        return [dict(x=number) for number in range(8)]

    def get_cat_ids(self, index):
        return [0]

    def __getitem__(self, index):
        return index, random.random(), np.random.random(), torch.rand(()).item()


def loaded(seed=3, epochs=(0, 1), dataset=None, sampler=None, **loader):
    """The samples of each epoch, in its order, as a run from the first one on loads them."""
    dataset = dataset or Draws()
    loader = DataLoader(dataset, collate_fn=list,
                        sampler=sampler or DefaultSampler(dataset, seed=99), **loader)
    run = SimpleNamespace(train_loop=EpochBasedTrainLoop.__new__(EpochBasedTrainLoop), seed=seed,
                          train_dataloader=loader)
    hook = SeedHook()
    hook.before_train(run)
    samples = {}
    for run.epoch in epochs:
        hook.before_train_epoch(run)
        if sampler is None:
            loader.sampler.set_epoch(run.epoch)
        samples[run.epoch] = [sample for batch in loader for sample in batch]
        torch.rand(7)  # what else happens must not matter
    return samples


def in_order_of_index(samples):
    return {epoch: sorted(drawn) for epoch, drawn in samples.items()}


@pytest.mark.parametrize('loader', [
    dict(batch_size=2), dict(batch_size=3, num_workers=1),
    dict(batch_size=3, num_workers=2, persistent_workers=True)])
def test_augmentation_depends_on_epoch_and_index_alone(loader):
    expected = in_order_of_index(loaded(batch_size=8))
    samples = loaded(**loader)
    assert in_order_of_index(samples) == expected
    # A run that is resumed in epoch 1 has its order as well.
    assert loaded(epochs=(1,), **loader)[1] == samples[1]
    drawn = [draw for epoch in expected.values() for sample in epoch for draw in sample[1:]]
    assert len(set(drawn)) == len(drawn)


def test_another_seed_gives_other_numbers_and_another_order():
    first, second = loaded(batch_size=8)[0], loaded(4, batch_size=8)[0]
    assert [sample[0] for sample in first] != [sample[0] for sample in second]
    assert not {draw for sample in first for draw in sample[1:]} & {
        draw for sample in second for draw in sample[1:]}


@pytest.mark.parametrize('wrapper', [
    lambda dataset: RepeatDataset(dataset, 2),
    lambda dataset: ClassBalancedDataset(dataset, oversample_thr=4.0)])
def test_repeated_image_has_augmentations_of_its_own(wrapper):
    dataset = wrapper(Draws())
    assert len(dataset) == 16
    samples = loaded(dataset=dataset, batch_size=4, epochs=(0,))[0]
    assert len({sample[1:] for sample in samples}) == 16


class OneImageOften(Sampler):
    """As a class-aware sampler where a class has one image."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __iter__(self):
        return iter([3, 3, 1, 3, 3])

    def __len__(self):
        return 5


@pytest.mark.parametrize('workers', [0, 1])
def test_image_that_a_sampler_gives_often_has_augmentations_of_its_own(monkeypatch, workers):
    def drawn(rank):
        monkeypatch.setattr('bacl.engine.hooks.seed_hook.get_rank', lambda: rank)
        monkeypatch.setattr('bacl.engine.hooks.seed_hook.broadcast', lambda seed: None)
        dataset = Draws()
        return loaded(dataset=dataset, sampler=OneImageOften(dataset), batch_size=2, epochs=(0, 1),
                      num_workers=workers)

    samples = [sample for rank in (0, 1) for epoch in drawn(rank).values() for sample in epoch]
    assert [sample[0] for sample in samples] == [3, 3, 1, 3, 3] * 4
    assert len({sample[1:] for sample in samples}) == 20
    assert drawn(1) == drawn(1)


def test_model_draws_by_seed_iteration_and_rank(monkeypatch):
    def drawn(seed, iteration, rank):
        monkeypatch.setattr('bacl.engine.hooks.seed_hook.get_rank', lambda: rank)
        run = SimpleNamespace(train_loop=None, seed=seed, iter=iteration)
        hook = SeedHook()
        hook.before_train(run)
        hook.before_train_iter(run, 0)
        return random.random(), np.random.random(), torch.rand(()).item()

    keys = [(seed, iteration, rank) for seed in (0, 1) for iteration in (0, 1, 5)
            for rank in (0, 1)]
    draws = [drawn(*key) for key in keys]
    assert draws == [drawn(*key) for key in keys]
    assert len(set(draws)) == len(keys)


def test_seeds_of_different_keys_differ():
    # Sums and products of small keys coincide; their seeds must not.
    keys = [(a, b, c) for a in range(8) for b in range(8) for c in range(8)]
    assert len({derive_seed(*key) for key in keys}) == len(keys)
    assert all(0 <= derive_seed(*key) < 2**32 for key in keys[:9])
