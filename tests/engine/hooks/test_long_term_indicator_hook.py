from types import SimpleNamespace

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.annotations import ClassTable
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.engine.hooks import LongTermIndicatorHook
from bacl.engine.hooks.long_term_indicator_hook import count_instances
from bacl.models.losses import FCBL
from mmdet.datasets import CocoDataset
from mmengine.dataset import BaseDataset, RepeatDataset
from mmengine.logging import MessageHub
from torch import nn


class Dataset(BaseDataset):
    METAINFO = dict(classes=('a', 'b', 'c'))

    def load_data_list(self):
        return [dict(x=1)]


class CountedDataset(Dataset):
    def class_table(self):
        return ClassTable(('a', 'b', 'c'), np.array([1, 20, 30]), np.array([2, 40, 60]), 50,
                          LVIS_GROUPS, np.array([0, 2, 2]))


class PlainDataset(Dataset):
    """A detection dataset that does not count its classes."""

    def load_data_list(self):
        return [dict(instances=[dict(bbox_label=label, ignore_flag=ignore)
                                for label, ignore in instances])
                for instances in ([(0, 0), (2, 0), (2, 0)], [], [(2, 0), (1, 1)])]


def runner(model, dataset):
    return SimpleNamespace(model=model, hooks=[], train_dataloader=SimpleNamespace(dataset=dataset),
                           message_hub=MessageHub.get_instance(f'test{id(model)}'))


def observed_loss():
    loss = FCBL(3)
    loss.indicator.score_sum.copy_(torch.diag(torch.tensor([0.1, 0.4, 0.8])))
    loss.indicator.num_samples.fill_(1)
    return loss


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


def static_loss(**indicator):
    return FCBL(3, indicator=indicator)


@pytest.mark.parametrize(('indicator', 'expected'), [('ImageFrequency', [1, 20, 30]),
                                                     ('InstanceFrequency', [2, 40, 60])])
def test_static_indicators_get_the_counts_of_the_dataset_inside_wrappers(indicator, expected):
    model = nn.ModuleList([static_loss(type=indicator), static_loss(type=indicator)])
    hook, run = LongTermIndicatorHook(), runner(model, RepeatDataset(CountedDataset(), times=2))
    hook.before_train(run)
    for loss in model:
        assert loss.indicator.value().tolist() == expected
    assert dict(hook.scalars())['indicator1/strength_r'] == pytest.approx(
        expected[0] / expected[2])


@pytest.mark.parametrize(('indicator', 'expected'), [('ImageFrequency', [1, 0, 2]),
                                                     ('InstanceFrequency', [1, 0, 3])])
def test_instances_of_a_plain_dataset_are_counted(indicator, expected):
    model = static_loss(type=indicator)
    hook = LongTermIndicatorHook()
    hook.before_train(runner(model, PlainDataset()))
    assert model.indicator.value().tolist() == expected
    assert [name for name, _ in hook.scalars()] == ['indicator/strength']


def test_instances_of_a_coco_dataset_are_those_of_its_file(make_lvis):
    root = make_lvis('v0.5')
    ann_file = root / 'annotations' / 'lvis_v0.5_train.json'
    dataset = CocoDataset(ann_file=str(ann_file), data_prefix=dict(img=''),
                          metainfo=dict(classes=('yoke', 'acorn', 'zebra')))
    counts = count_instances(dataset)
    # Of class 1, one of five annotations is smaller than a pixel and left out.
    assert counts.instance_count.tolist() == [2, 4, 1]
    assert counts.image_count.tolist() == [2, 3, 1]


def test_counts_of_the_config_win_over_those_of_the_dataset():
    model = static_loss(type='ImageFrequency', counts=[3, 2, 1])
    LongTermIndicatorHook().before_train(runner(model, CountedDataset()))
    assert model.indicator.value().tolist() == [3, 2, 1]


def test_counts_of_the_annotation_file_win_over_dataset_and_checkpoint(make_lvis):
    ann_file = make_lvis('v1') / 'annotations' / 'lvis_v1_train.json'
    model = static_loss(type='ImageFrequency', ann_file=str(ann_file))
    model.load_state_dict(static_loss(type='ImageFrequency', counts=[3, 2, 1]).state_dict())
    LongTermIndicatorHook().before_train(runner(model, CountedDataset()))
    assert model.indicator.value().tolist() == [2, 4, 1]


def test_counts_of_the_dataset_win_over_those_of_a_checkpoint():
    model = static_loss(type='ImageFrequency')
    model.load_state_dict(static_loss(type='ImageFrequency', counts=[3, 2, 1]).state_dict())
    LongTermIndicatorHook().before_train(runner(model, CountedDataset()))
    assert model.indicator.value().tolist() == [1, 20, 30]


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
