from types import SimpleNamespace

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.datasets import ClassImagePairs, EpisodicSampler, draw_pairs, episodic_sampler
from hypothesis import given
from hypothesis import strategies as st
from mmdet.registry import DATA_SAMPLERS


class Images:
    """A dataset of which only the classes in each image are known."""

    def __init__(self, classes, num_classes):
        self.classes, self.metainfo = classes, dict(classes=tuple(range(num_classes)))

    def __len__(self):
        return len(self.classes)

    def get_data_info(self, index):
        return dict(instances=[dict(bbox_label=label, ignore_flag=0)
                               for label in self.classes[index]])


def pairs_of(images_of_class):
    classes = [[] for _ in range(1 + max(max(images, default=0) for images in images_of_class))]
    for label, images in enumerate(images_of_class):
        for image in images:
            classes[image] += [label, label]  # two objects are one class
    return ClassImagePairs(Images(classes, len(images_of_class)))


@pytest.mark.golden('simcal_train.npz')
def test_equals_the_official_episodes(golden):
    counts = golden['sampler_instance_count']
    lists = [[image for image in images if image >= 0] if count else [] for images, count in zip(
        golden['sampler_class_images'].tolist(), counts.tolist(), strict=True)]
    pairs = pairs_of(lists)
    num_images = torch.as_tensor(pairs.num_images)
    classes = golden['sampler_classes'].flatten()
    eligible = golden['sampler_eligible_classes']
    # Uniform numbers of what was drawn; there, the images of a class are in no order.
    class_uniform = (golden['sampler_drawn_position'].flatten() + 0.5) / len(eligible)
    images = golden['sampler_images'].flatten().tolist()
    position = [sorted(lists[label]).index(image)
                for label, image in zip(classes.tolist(), images, strict=True)]
    image_uniform = (torch.tensor(position) + 0.5) / num_images[classes]
    drawn = draw_pairs(class_uniform, image_uniform, num_images)
    assert pairs.labels[drawn].tolist() == classes.tolist()
    assert pairs.images[drawn].tolist() == images
    torch.testing.assert_close(golden['sampler_class_probability'],
                               torch.full((len(eligible),), 1 / len(eligible),
                                          dtype=torch.float64))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6).filter(any),
       st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_a_pair_is_of_a_class_with_images_whatever_is_drawn(num_images, first, second):
    labels = np.repeat(np.arange(len(num_images)), num_images)
    (pair,) = draw_pairs(torch.tensor([first], dtype=torch.float64),
                         torch.tensor([second], dtype=torch.float64), torch.tensor(num_images))
    eligible = [label for label, num in enumerate(num_images) if num]
    assert labels[pair] == eligible[int(first * len(eligible))]


def test_all_classes_are_drawn_alike_and_all_images_of_a_class():
    pairs = pairs_of([[0, 1, 2, 3], [], [4], [5, 6]])
    drawn = list(EpisodicSampler(pairs, num_episodes=1000, classes_per_episode=12, seed=0))
    share = np.bincount(pairs.labels[drawn], minlength=4) / len(drawn)
    assert share == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3], abs=0.015)  # 3.5 standard deviations
    share = np.bincount(drawn) / len(drawn)
    assert share == pytest.approx([1 / 12] * 4 + [1 / 3] + [1 / 6] * 2, abs=0.015)


def test_epochs_differ_and_repeat():
    sampler = DATA_SAMPLERS.build(dict(
        type='EpisodicSampler', dataset=pairs_of([[0, 1, 2, 3], [4]]), num_episodes=3,
        classes_per_episode=4, seed=5))
    first = list(sampler)
    assert len(first) == len(sampler) == 12
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first


@pytest.mark.parametrize('world_size', [2, 5])
def test_ranks_share_each_episode(monkeypatch, world_size):
    pairs, settings = pairs_of([[0, 1, 2, 3], [4]]), dict(
        num_episodes=3, classes_per_episode=4, seed=5)
    shares = []
    for rank in range(world_size):
        monkeypatch.setattr(episodic_sampler, 'get_dist_info', lambda rank=rank: (rank, world_size))
        shares.append(list(EpisodicSampler(pairs, **settings)))
    assert {len(share) for share in shares} == {-(-12 // world_size)}
    together = [index for step in zip(*shares, strict=True) for index in step]
    monkeypatch.undo()
    generator = torch.Generator().manual_seed(5)
    uniform = torch.rand(2, len(together), dtype=torch.float64, generator=generator)
    assert together == draw_pairs(*uniform, torch.as_tensor(pairs.num_images)).tolist()


@pytest.mark.parametrize('kwargs, error', [
    (dict(num_episodes=0), 'num_episodes='), (dict(classes_per_episode=0), 'classes_per_episode='),
    (dict(dataset=SimpleNamespace()), 'ClassImagePairs')])
def test_wrong_arguments_are_named(kwargs, error):
    with pytest.raises((TypeError, ValueError), match=error):
        EpisodicSampler(**dict(dataset=pairs_of([[0]])) | kwargs)
