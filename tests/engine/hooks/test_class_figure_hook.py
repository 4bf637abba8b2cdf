import types
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from bacl.annotations import ClassTable
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.engine.hooks import ClassFigureHook
from bacl.engine.hooks.class_figure_hook import draw_classes
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


def test_model_without_a_known_classifier_is_trained_without_pictures(visualizer, tmp_path):
    draw(runner_of(nn.Linear(2, 2), visualizer))
    few_rows = Detector()
    few_rows.bbox_head.fc_cls = nn.Linear(3, 3)
    draw(runner_of(few_rows, visualizer))
    assert not list(tmp_path.rglob('*.png'))


def coloured(picture, colour):
    """Columns in which a colour of a group stands out."""
    rgb = np.array([int(colour[i:i + 2], 16) for i in (1, 3, 5)])
    # Drawn with 60 % opacity on white.
    near = np.abs(picture.astype(int) - (0.6 * rgb + 0.4 * 255)).sum(axis=2) < 12
    return np.flatnonzero(near[:, :560].any(axis=0))  # left of the legend


def test_points_stand_where_counts_and_values_are():
    one = draw_classes(np.array([1., 9.]), np.array([1, 1000]), np.array(['r', 'f']), 'value')
    rare, frequent = coloured(one, '#D55E00'), coloured(one, '#009E73')
    assert rare.size and rare.max() < 300
    assert frequent.size and frequent.min() > 400


def test_interval_has_to_be_positive():
    with pytest.raises(ValueError, match=r'ClassFigureHook\(interval=\) expects'):
        ClassFigureHook(interval=0)


def test_model_is_left_alone(visualizer):
    model = Detector()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    draw(runner_of(model, visualizer))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
