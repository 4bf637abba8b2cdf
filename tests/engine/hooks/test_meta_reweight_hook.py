from types import SimpleNamespace

import bacl  # noqa: F401
import pytest
import torch
from bacl.engine.hooks import MetaReweightHook
from bacl.engine.hooks.meta_reweight_hook import rarest_class_weights
from bacl.models.losses import BalancedSigmoidLoss, MetaBalancedSigmoidLoss
from torch import nn
from torch.utils.data import DataLoader

# Of each image, label and whether it is ignored.
IMAGES = [[(0, 0), (1, 0)], [], [(0, 0), (0, 0), (2, 1)], [(0, 0)]]
KWARGS = dict(num_classes=3, counts=[3, 1, 0], num_images=3)


class Dataset:
    def __len__(self):
        return len(IMAGES)

    def get_data_info(self, index):
        return dict(instances=[dict(bbox_label=label, ignore_flag=ignore)
                               for label, ignore in IMAGES[index]])

    def __getitem__(self, index):
        return index


class Detector(nn.Module):
    """The features of a RoI are its image and 1; its label is that of the image's first object."""

    def __init__(self, loss_cls):
        super().__init__()
        self.roi_head = nn.Module()
        self.roi_head.bbox_head = nn.Module()
        self.roi_head.bbox_head.fc_cls, self.roi_head.bbox_head.loss_cls = nn.Linear(2, 3), loss_cls

    def data_preprocessor(self, batch, training):
        assert training
        return dict(batch=batch)

    def forward(self, batch, mode):
        assert mode == 'loss' and self.training
        head = self.roi_head.bbox_head
        feats = torch.tensor([[image, 1.0] for image in batch])
        labels = torch.tensor([IMAGES[image][0][0] if IMAGES[image] else 3 for image in batch])
        return head.loss_cls(head.fc_cls(feats), labels, torch.ones(len(batch)))


def make_runner(loss_cls=None, optimizer=torch.optim.SGD, epoch=0, **kwargs):
    model = Detector(loss_cls or MetaBalancedSigmoidLoss(**KWARGS))
    return SimpleNamespace(
        model=model, epoch=epoch, seed=1,
        train_dataloader=DataLoader(Dataset(), batch_size=2, collate_fn=list),
        optim_wrapper=SimpleNamespace(optimizer=optimizer(model.parameters(), lr=0.5, **kwargs)))


def train_epoch(hook, runner):
    hook.before_train_epoch(runner)
    for index, batch in enumerate(runner.train_dataloader):
        hook.before_train_iter(runner, index, batch)
        optimizer = runner.optim_wrapper.optimizer
        optimizer.zero_grad()
        runner.model(batch, 'loss').backward()
        optimizer.step()


def test_images_are_drawn_by_their_rarest_class():
    # Class 0 is in three images, class 1 in one.
    assert rarest_class_weights(Dataset()).tolist() == pytest.approx([1, 0, 1 / 3, 1 / 3])


def test_the_loss_gets_both_batches_and_the_state_of_the_optimizer(monkeypatch):
    runner, hook, calls = make_runner(momentum=0.9, weight_decay=0.1), MetaReweightHook(), []
    head = runner.model.roi_head.bbox_head
    monkeypatch.setattr(head.loss_cls, 'meta_step', lambda *args: calls.append(args))
    hook.before_train(runner)
    train_epoch(hook, runner)
    assert len(calls) == 2
    for index, (feats, labels, meta_feats, meta_labels, parameters, momenta, *settings) \
            in enumerate(calls):
        assert feats[:, 0].tolist() == [2 * index, 2 * index + 1] and not feats.requires_grad
        assert labels.tolist() == [[0, 3], [0, 0]][index]
        # Image 1 has no object and is never drawn.
        assert meta_feats[:, 0].long().tolist() != [1, 1] and (meta_feats[:, 0] != 1).all()
        assert len(meta_labels) == 2
        assert parameters[0] is head.fc_cls.weight and parameters[1] is head.fc_cls.bias
        assert all(bool(m.any()) == (index > 0) for m in momenta)
        assert settings == [0.5, 0.9, 0.1]


def test_class_weights_learn_and_an_epoch_draws_what_it_drew_before_it_was_repeated():
    states = []
    for _ in range(2):
        torch.manual_seed(0)
        runner, hook = make_runner(momentum=0.9, epoch=3), MetaReweightHook()
        hook.before_train(runner)
        torch.manual_seed(len(states))  # the draws do not depend on it
        train_epoch(hook, runner)
        states.append(runner.model.roi_head.bbox_head.loss_cls.meta_logit)
    assert torch.equal(*states) and states[0].any()


@pytest.mark.parametrize('kwargs, got', [
    (dict(loss_cls=BalancedSigmoidLoss(**KWARGS)), 'MetaBalancedSigmoidLoss'),
    (dict(optimizer=torch.optim.AdamW), 'SGD .* got AdamW'),
    (dict(momentum=0.9, nesterov=True), 'SGD without .* Nesterov')])
def test_what_it_cannot_look_ahead_of_is_refused(kwargs, got):
    with pytest.raises(TypeError, match=got):
        MetaReweightHook().before_train(make_runner(**kwargs))
