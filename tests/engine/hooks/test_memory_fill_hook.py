from contextlib import nullcontext
from types import SimpleNamespace

import bacl  # noqa: F401
import pytest
import torch
from bacl.engine.hooks import MemoryFillHook, memory_fill_hook
from bacl.engine.hooks.memory_fill_hook import class_balanced_order
from hypothesis import given
from hypothesis import strategies as st
from mmengine.dataset import BaseDataset
from torch import nn
from torch.utils.data import DataLoader

# Of each image, label and whether it is ignored.
IMAGES = [[(1, 0), (0, 0), (1, 0)], [], [(0, 0), (2, 1)], [(0, 0)]]


@pytest.mark.golden('loce_init.npz')
def test_equals_the_official_order(golden):
    num_classes = int(golden['num_classes'])
    # The official pass also shows images without objects, as of one class more.
    classes = [[c for c in image if c >= 0] or [num_classes]
               for image in golden['image_classes'].tolist()]
    num_images = int(golden['samples_per_class'])
    assert list(dict.fromkeys(sum(classes, []))) == golden['class_order'].tolist()
    for num_ranks in (1, 2):
        for rank in range(num_ranks):
            assert class_balanced_order(classes, num_images, rank, num_ranks) == golden[
                f'order_world{num_ranks}_rank{rank}'].tolist()


@given(classes=st.lists(st.lists(st.integers(0, 4), max_size=3), max_size=8),
       num_images=st.integers(1, 3), num_ranks=st.integers(1, 3))
def test_every_class_has_its_images_on_every_rank(classes, num_images, num_ranks):
    present = list(dict.fromkeys(sum(classes, [])))
    orders = [class_balanced_order(classes, num_images, rank, num_ranks)
              for rank in range(num_ranks)]
    for order in orders:
        assert len(order) == num_images * len(present)
        for position, image in enumerate(order):
            assert present[position // num_images] in classes[image]
    for c in present:  # all ranks together: different ones, as far as there are
        begin = present.index(c) * num_images
        shown = sum((order[begin:begin + num_images] for order in orders), [])
        assert len(set(shown)) == min(len(shown), sum(c in image for image in classes))


class Dataset(BaseDataset):
    def load_data_list(self):
        return [dict(index=index, instances=[dict(bbox_label=label, ignore_flag=ignore)
                                             for label, ignore in instances])
                for index, instances in enumerate(IMAGES)]

    def __getitem__(self, index):
        return index


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.batches = []

    def data_preprocessor(self, batch, training):
        assert training
        return dict(batch=batch)

    def forward(self, batch, mode):
        assert mode == 'loss' and self.training and torch.is_grad_enabled()
        self.batches.append(batch)


def runner(iteration=0):
    loader = DataLoader(Dataset(serialize_data=False), batch_size=2, collate_fn=list)
    return SimpleNamespace(
        iter=iteration, model=Model().eval(), train_dataloader=loader,
        optim_wrapper=SimpleNamespace(optim_context=lambda model: nullcontext()))


def test_images_of_each_class_are_shown_before_training():
    run = runner()
    MemoryFillHook(num_images=3).before_train(run)
    # Class 1, of one image, then class 0; the ignored one is not there.
    assert run.model.batches == [[0, 0], [0, 0], [2, 3]]


def test_an_image_that_comes_again_is_told_from_the_first_time():
    run, keys = runner(), []
    run.train_dataloader.dataset.__getitems__ = lambda indices: [
        keys.append((int(i), *i.key)) or i for i in indices]
    MemoryFillHook(num_images=3).before_train(run)
    assert len(set(keys)) == len(keys) == 6


def test_ranks_share_the_images(monkeypatch):
    monkeypatch.setattr(memory_fill_hook, 'get_dist_info', lambda: (1, 2))
    run = runner()
    MemoryFillHook(num_images=3).before_train(run)
    assert run.model.batches == [[0, 0], [2, 0]]


def test_a_resumed_run_has_its_memory():
    run = runner(iteration=7)
    MemoryFillHook().before_train(run)
    assert run.model.batches == []


@pytest.mark.parametrize('num_images', [0, 2.5])
def test_the_number_of_images_is_checked(num_images):
    with pytest.raises(ValueError, match='num_images='):
        MemoryFillHook(num_images)
