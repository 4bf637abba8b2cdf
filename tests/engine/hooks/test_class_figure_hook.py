import logging
import types
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from bacl.annotations import ClassTable
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.engine.hooks import ClassFigureHook
from bacl.models.losses import FCBL
from mmengine.visualization import Visualizer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

COUNTS = ClassTable(('a', 'b', 'c', 'd'), np.array([0, 3, 40, 400]), np.array([0, 4, 60, 900]), 500,
                    LVIS_GROUPS, np.array([0, 0, 1, 2]))


class Detector(nn.Module):
    def __init__(self, num_stages=1):
        super().__init__()
        heads = []
        for _ in range(num_stages):
            head = nn.Module()
            head.fc_cls, head.loss_cls = nn.Linear(3, 5), FCBL(4)
            heads.append(head)
        self.bbox_head = nn.ModuleList(heads) if num_stages > 1 else heads[0]


def runner_of(model, visualizer, counts=COUNTS, epoch=0):
    dataset = types.SimpleNamespace(class_table=lambda: counts)
    return types.SimpleNamespace(
        model=model, epoch=epoch, visualizer=visualizer,
        train_dataloader=types.SimpleNamespace(dataset=dataset))


def draw(runner, **kwargs):
    hook = ClassFigureHook(**kwargs)
    hook.before_train(runner)
    hook.after_train_epoch(runner)


@pytest.fixture
def visualizer(tmp_path):
    return Visualizer(vis_backends=[dict(type='LocalVisBackend'),
                                    dict(type='TensorboardVisBackend')], save_dir=str(tmp_path))


def test_pictures_reach_the_folder_and_tensorboard(visualizer, tmp_path):
    draw(runner_of(Detector(), visualizer, epoch=2))
    paths = {path.name: path for path in tmp_path.rglob('*.png')}
    assert paths.keys() == {'classifier_weight_norms_3.png', 'indicator_strength_3.png'}
    visualizer.close()
    events = EventAccumulator(str(next(tmp_path.rglob('events.out*')).parent))
    events.Reload()
    assert events.Tags()['images'] == ['classifier_weight_norms', 'indicator_strength']
    assert events.Images('indicator_strength')[0].step == 3
    picture = cv2.imread(str(paths['classifier_weight_norms_3.png']))
    assert picture.shape == (400, 700, 3)


def test_every_stage_of_a_cascade_has_its_picture(visualizer, tmp_path):
    draw(runner_of(Detector(3), visualizer))
    names = sorted(path.name for path in tmp_path.rglob('*.png'))
    assert names == sorted(f'{name}{stage}_1.png' for stage in range(3)
                           for name in ('classifier_weight_norms', 'indicator_strength'))


@pytest.mark.parametrize('counts, kwargs', [
    (None, {}), (replace(COUNTS, groups=(), group=None), {}), (COUNTS, dict(interval=2))])
def test_nothing_is_drawn_without_groups_or_between_the_intervals(
        visualizer, tmp_path, counts, kwargs):
    draw(runner_of(Detector(), visualizer, counts), **kwargs)
    assert not list(tmp_path.rglob('*.png'))


def names_in(folder):
    return {path.name for path in folder.rglob('*.png')}


def test_model_without_a_linear_classifier_has_no_picture_of_one(visualizer, tmp_path):
    draw(runner_of(nn.Linear(2, 2), visualizer))
    assert not names_in(tmp_path)
    model = Detector()
    model.bbox_head.fc_cls = nn.Sequential(nn.Linear(3, 5))
    draw(runner_of(model, visualizer))
    assert names_in(tmp_path) == {'indicator_strength_1.png'}


@pytest.mark.parametrize('thresholds', [(5, ), (2, 30), (2, 4, 8, 16), tuple(range(1, 12))])
@pytest.mark.parametrize('names', [('a, "b" & <c>', 'ünï', '猫', '$x$')])
def test_any_number_of_groups_and_any_names_are_drawn(visualizer, tmp_path, thresholds, names):
    classes = replace(COUNTS, names=names).grouped_by_instances(thresholds)
    draw(runner_of(Detector(), visualizer, classes))
    assert names_in(tmp_path) == {'classifier_weight_norms_1.png', 'indicator_strength_1.png'}


class Parrot(nn.Module):
    """An indicator of somebody else."""

    def __init__(self, strength):
        super().__init__()
        self.says = strength

    def strength(self):
        if isinstance(self.says, Exception):
            raise self.says
        return torch.tensor(self.says)


def test_an_indicator_of_somebody_else_is_drawn(visualizer, tmp_path):
    model = Detector()
    model.bbox_head.loss_cls = Parrot([0.1, 0.2, 0.3, 0.4])
    draw(runner_of(model, visualizer))
    assert 'indicator_strength_1.png' in names_in(tmp_path)


@pytest.mark.parametrize('says, told', [([0.1, 0.2], '4 classes'), (RuntimeError('no, not yet'),
                                                                  'no, not yet')])
def test_a_picture_that_fails_is_told_once_and_the_others_are_drawn(
        visualizer, tmp_path, caplog, monkeypatch, says, told):
    monkeypatch.setattr('bacl.engine.hooks.class_figure_hook.print_log',
                        lambda text, **kwargs: logging.getLogger('test').warning(text))
    model = Detector()
    model.bbox_head.loss_cls = Parrot(says)
    runner, hook = runner_of(model, visualizer), ClassFigureHook()
    hook.before_train(runner)
    for runner.epoch in range(3):
        hook.after_train_epoch(runner)
    text, = caplog.messages
    assert 'indicator_strength' in text and told in text
    assert names_in(tmp_path) == {f'classifier_weight_norms_{i}.png' for i in (1, 2, 3)}


def test_a_dataset_whose_table_is_none_does_not_end_the_training(visualizer, tmp_path):
    for counts in (['a', 'b'], 3):
        draw(runner_of(Detector(), visualizer, counts))
    assert not names_in(tmp_path)


def test_a_backend_that_cannot_write_does_not_end_the_training(visualizer, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError('no space left')

    monkeypatch.setattr(visualizer, 'add_image', fail)
    draw(runner_of(Detector(), visualizer))


def test_interval_has_to_be_positive():
    with pytest.raises(ValueError, match=r'ClassFigureHook\(interval=\) expects'):
        ClassFigureHook(interval=0)


def test_model_is_left_alone(visualizer):
    model = Detector()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    draw(runner_of(model, visualizer))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
