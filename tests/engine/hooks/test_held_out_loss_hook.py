from contextlib import nullcontext
from types import SimpleNamespace

import bacl  # noqa: F401
import torch
from bacl.engine.hooks import HeldOutLossHook
from torch import nn


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


def test_losses_of_all_images_are_computed_after_each_epoch():
    model, built = Model(), []
    runner = SimpleNamespace(
        model=model, seed=3, build_dataloader=lambda *args, **kwargs: (
            built.append((args, kwargs)), ['a', 'b'])[1],
        optim_wrapper=SimpleNamespace(optim_context=lambda model: nullcontext()))
    hook = HeldOutLossHook(dict(batch_size=2))
    hook.before_train(runner)
    assert built == [((dict(batch_size=2), ), dict(seed=3))]
    for _ in range(2):
        hook.after_train_epoch(runner)
        assert model.training and torch.is_grad_enabled()
    assert model.batches == ['a', 'b', 'a', 'b']
