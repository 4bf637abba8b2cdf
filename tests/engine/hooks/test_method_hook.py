import math
from types import SimpleNamespace

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.annotations import ClassTable
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.engine.hooks import LongTermIndicatorHook, MethodHook
from bacl.engine.hooks.method_hook import count_instances
from bacl.models.losses import FCBL
from bacl.models.predictors import TextCosineLinear
from mmdet.datasets import CocoDataset
from mmengine.dataset import BaseDataset, RepeatDataset
from mmengine.hooks import EMAHook
from mmengine.logging import MessageHub
from mmengine.model import ExponentialMovingAverage
from torch import nn


class Dataset(BaseDataset):
    METAINFO = dict(classes=('a', 'b', 'c'))

    def load_data_list(self):
        return [dict(x=1)]


class Pictures(Dataset):
    source = 'image_level'


def test_images_without_boxes_need_a_model_that_knows_them():
    with pytest.raises(ValueError, match='Pictures has coarse boxes by rule'):
        MethodHook().before_train(runner(observed_loss(), Pictures()))


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
    hook, run = MethodHook(interval=2), runner(observed_loss(), CountedDataset())
    hook.before_train(run)
    hook.after_train_iter(run, 0)
    assert not run.message_hub.log_scalars
    hook.after_train_iter(run, 1)
    logged = {k: v.current() for k, v in run.message_hub.log_scalars.items()}
    assert math.isnan(logged.pop('train/fcbl/active_negatives'))  # no sample since the last entry
    assert logged == {'train/indicator/strength_r': pytest.approx(0.1),
                      'train/indicator/strength_f': pytest.approx(0.6)}


def test_without_frequency_groups_there_is_one_mean():
    hook, run = MethodHook(), runner(observed_loss(), Dataset())
    hook.before_train(run)
    assert dict(hook.scalars())['indicator/strength'] == pytest.approx(1.3 / 3)


def static_loss(**indicator):
    return FCBL(3, indicator=indicator)


@pytest.mark.parametrize(('indicator', 'expected'), [('ImageFrequency', [1, 20, 30]),
                                                     ('InstanceFrequency', [2, 40, 60])])
def test_static_indicators_get_the_counts_of_the_dataset_inside_wrappers(indicator, expected):
    model = nn.ModuleList([static_loss(type=indicator), static_loss(type=indicator)])
    hook, run = MethodHook(), runner(model, RepeatDataset(CountedDataset(), times=2))
    hook.before_train(run)
    for loss in model:
        assert loss.indicator.value().tolist() == expected
    assert dict(hook.scalars())['indicator1/strength_r'] == pytest.approx(
        expected[0] / expected[2])


@pytest.mark.parametrize(('indicator', 'expected'), [('ImageFrequency', [1, 0, 2]),
                                                     ('InstanceFrequency', [1, 0, 3])])
def test_instances_of_a_plain_dataset_are_counted(indicator, expected):
    model = static_loss(type=indicator)
    hook = MethodHook()
    hook.before_train(runner(model, PlainDataset()))
    assert model.indicator.value().tolist() == expected
    assert 'indicator/strength' in dict(hook.scalars())


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
    MethodHook().before_train(runner(model, CountedDataset()))
    assert model.indicator.value().tolist() == [3, 2, 1]


def test_counts_of_the_annotation_file_win_over_dataset_and_checkpoint(make_lvis):
    ann_file = make_lvis('v1') / 'annotations' / 'lvis_v1_train.json'
    model = static_loss(type='ImageFrequency', ann_file=str(ann_file))
    model.load_state_dict(static_loss(type='ImageFrequency', counts=[3, 2, 1]).state_dict())
    MethodHook().before_train(runner(model, CountedDataset()))
    assert model.indicator.value().tolist() == [2, 4, 1]


def test_counts_of_the_dataset_win_over_those_of_a_checkpoint():
    model = static_loss(type='ImageFrequency')
    model.load_state_dict(static_loss(type='ImageFrequency', counts=[3, 2, 1]).state_dict())
    MethodHook().before_train(runner(model, CountedDataset()))
    assert model.indicator.value().tolist() == [1, 20, 30]


def test_several_indicators_are_numbered():
    model = nn.ModuleList([observed_loss(), observed_loss()])
    hook, run = MethodHook(), runner(model, Dataset())
    hook.before_train(run)
    assert [name for name, _ in hook.scalars() if 'indicator' in name] == [
        'indicator0/strength', 'indicator1/strength']


class Method(nn.Module):
    """A module that no part of the package knows."""

    def __init__(self):
        super().__init__()
        self.told = []

    def set_class_counts(self, table):
        self.told.append(table.instance_count.tolist())

    def start_epoch(self, epoch):
        self.told.append(epoch)

    def scalars(self):
        return {'method/number': 7, 'alone': 1.0}


def test_any_module_gets_counts_and_epochs_and_gives_scalars():
    model = nn.Sequential(nn.Linear(2, 2), Method())
    hook, run = MethodHook(), runner(model, CountedDataset())
    hook.before_train(run)
    for run.epoch in (3, 4):  # of a resumed run
        hook.before_train_epoch(run)
    assert model[1].told == [[2, 40, 60], 3, 4]
    assert dict(hook.scalars()) == {'method/number': 7, 'alone': 1.0}
    two = MethodHook()
    two.before_train(runner(nn.Sequential(Method(), Method()), CountedDataset()))
    assert [name for name, _ in two.scalars()][::2] == ['method0/number', 'method1/number']


def test_a_module_that_asks_nothing_needs_no_counts():
    class Unknown(BaseDataset):
        METAINFO = dict(classes=('a',))

        def load_data_list(self):
            return [dict(x=1)]

        def get_data_info(self, index):
            raise AssertionError('counted although nobody asked')

    MethodHook().before_train(runner(nn.Linear(2, 2), Unknown()))


def test_scalars_of_another_number_of_classes_are_refused_by_name():
    model = Method()
    model.scalars = lambda: {'method/per_class': torch.ones(4)}
    hook = MethodHook()
    hook.before_train(runner(model, CountedDataset()))
    with pytest.raises(ValueError, match="3 classes.*'method/per_class'"):
        dict(hook.scalars())


def test_counts_of_a_dataset_without_classes_are_refused():
    dataset = SimpleNamespace(metainfo=dict(classes=()))
    with pytest.raises(ValueError, match='SimpleNamespace.*class_table'):
        MethodHook().before_train(runner(Method(), dataset))


@pytest.mark.parametrize('update_buffers', [True, False])
def test_averages_of_collected_state_are_refused(update_buffers):
    model = observed_loss()
    run = runner(model, Dataset())
    run.hooks = [EMAHook(update_buffers=update_buffers)]
    if update_buffers:
        with pytest.raises(RuntimeError, match='update_buffers.*ConfusionMatrix'):
            MethodHook().before_train(run)
    else:
        MethodHook().before_train(run)
    run = runner(nn.BatchNorm2d(3), Dataset())
    run.hooks = [EMAHook(update_buffers=True)]
    MethodHook().before_train(run)


def test_averages_of_text_embeddings_are_these():
    model = TextCosineLinear(4, 3, embed_dims=2)
    average = ExponentialMovingAverage(model, momentum=0.1, update_buffers=True)
    model.set_text_embeddings(torch.randn(3, 2))
    run = runner(model, CountedDataset())
    run.hooks = [EMAHook(update_buffers=True)]
    MethodHook().before_train(run)
    for _ in range(3):
        average.update_parameters(model)
    torch.testing.assert_close(average.module.text_embeddings, model.text_embeddings)


def test_differing_class_counts_are_refused():
    with pytest.raises(ValueError, match='3 classes'):
        MethodHook().before_train(runner(FCBL(4), Dataset()))


def test_the_hook_of_long_term_indicators_needs_one():
    LongTermIndicatorHook().before_train(runner(FCBL(3), Dataset()))
    with pytest.raises(RuntimeError, match="loss_cls=dict\\(type='FCBL'"):
        LongTermIndicatorHook().before_train(runner(nn.Linear(2, 2), Dataset()))


def test_of_several_hooks_the_last_asks():
    hooks = MethodHook(), LongTermIndicatorHook()
    model = nn.Sequential(FCBL(3), Method())
    run = runner(model, CountedDataset())
    run.hooks, run.epoch = hooks, 3
    for hook in hooks:
        hook.before_train(run)
        hook.before_train_epoch(run)
    assert model[1].told == [[2, 40, 60], 3]
    assert not dict(hooks[0].scalars()) and 'method/number' in dict(hooks[1].scalars())
