from types import SimpleNamespace

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.annotations import ClassCounts
from bacl.engine.hooks import LongTermIndicatorHook
from bacl.engine.hooks.long_term_indicator_hook import mean_by_frequency
from bacl.models.losses import FCBL
from mmengine.dataset import BaseDataset
from mmengine.logging import MessageHub
from torch import nn


class Dataset(BaseDataset):
    METAINFO = dict(classes=('a', 'b', 'c'))

    def load_data_list(self):
        return [dict(x=1)]


class CountedDataset(Dataset):
    def class_counts(self):
        return ClassCounts(np.arange(3), np.arange(3), np.array(['r', 'f', 'f']))


def runner(model, dataset):
    return SimpleNamespace(model=model, train_dataloader=SimpleNamespace(dataset=dataset),
                           message_hub=MessageHub.get_instance(f'test{id(model)}'))


def observed_loss():
    loss = FCBL(3)
    loss.indicator.score_sum.copy_(torch.diag(torch.tensor([0.1, 0.4, 0.8])))
    loss.indicator.num_samples.fill_(1)
    return loss


def test_mean_by_frequency_leaves_out_empty_groups():
    means = mean_by_frequency(np.array([1.0, 2.0, 4.0]), np.array(['r', 'f', 'f']))
    assert means == dict(r=1.0, f=3.0)


def test_strength_of_the_groups_is_logged_at_the_interval():
    hook, run = LongTermIndicatorHook(interval=2), runner(observed_loss(), CountedDataset())
    hook.before_train(run)
    hook.after_train_iter(run, 0)
    assert not run.message_hub.log_scalars
    hook.after_train_iter(run, 1)
    logged = {k: v.current() for k, v in run.message_hub.log_scalars.items()}
    assert logged == {'train/indicator/strength_r': pytest.approx(0.1),
                      'train/indicator/strength_f': pytest.approx(0.6)}


def test_without_frequency_groups_there_is_one_mean():
    hook, run = LongTermIndicatorHook(), runner(observed_loss(), Dataset())
    hook.before_train(run)
    assert dict(hook.scalars()) == {'indicator/strength': pytest.approx(1.3 / 3)}


def test_several_indicators_are_numbered():
    model = nn.ModuleList([observed_loss(), observed_loss()])
    hook, run = LongTermIndicatorHook(), runner(model, Dataset())
    hook.before_train(run)
    assert [name for name, _ in hook.scalars()] == ['indicator0/strength', 'indicator1/strength']


def test_differing_class_counts_and_a_missing_indicator_are_refused():
    with pytest.raises(ValueError, match='3 classes'):
        LongTermIndicatorHook().before_train(runner(FCBL(4), Dataset()))
    with pytest.raises(RuntimeError, match="loss_cls=dict\\(type='FCBL'"):
        LongTermIndicatorHook().before_train(runner(nn.Linear(2, 2), Dataset()))
