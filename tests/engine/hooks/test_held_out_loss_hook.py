from contextlib import nullcontext
from types import SimpleNamespace

import bacl  # noqa: F401
import torch
from bacl.engine.hooks import HeldOutLossHook
from torch import nn
from torch.utils.data import DataLoader


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.batches = []

    def data_preprocessor(self, batch, training):
        assert not training
        return dict(batch=batch)

    def forward(self, batch, mode):
        assert mode == 'loss' and not self.training and not torch.is_grad_enabled()
        self.batches.append(batch)


class Dataset:
    """An image is its index and a random number, as of an augmentation."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return index, torch.rand(()).item()


def run_epochs(*epochs):
    model, built = Model(), []

    def build_dataloader(*args, **kwargs):
        built.append((args, kwargs))
        return DataLoader(Dataset(), batch_size=2, collate_fn=list)

    runner = SimpleNamespace(
        model=model, seed=3, build_dataloader=build_dataloader,
        optim_wrapper=SimpleNamespace(optim_context=lambda model: nullcontext()))
    hook = HeldOutLossHook(dict(batch_size=2))
    hook.before_train(runner)
    assert built == [((dict(batch_size=2), ), dict(seed=3))]
    for runner.epoch in epochs:
        hook.after_train_epoch(runner)
        assert model.training and torch.is_grad_enabled()
    return model.batches


def test_losses_of_all_images_are_computed_after_each_epoch():
    batches = run_epochs(0, 1)
    assert [[index for index, _ in batch] for batch in batches] == 2 * [[0, 1], [2, 3]]


def test_a_resumed_run_sees_the_same_augmentations():
    whole = run_epochs(0, 1)
    torch.rand(7)
    assert run_epochs(1) == whole[2:]
    assert len({number for batch in whole for _, number in batch}) == 8
