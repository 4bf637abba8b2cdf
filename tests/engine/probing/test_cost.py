from pathlib import Path

import bacl  # noqa: F401
import pytest
from bacl.engine.probing import cost
from bacl.engine.probing.cost import count_multiply_adds, count_parameters, measure_fps
from bacl.engine.running.build import build_model
from mmdet.registry import MODELS
from torch import nn

CONFIGS = Path(__file__).parents[3] / 'configs'
C = 4


class Toy(nn.Module):
    """A 3 x 3 convolution of 3 to 5 channels with stride 2, and a classifier of 5 to 7."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(5)
        self.fc = nn.Linear(5, 7)

    def forward(self, inputs, data_samples, mode):
        return self.fc(self.norm(self.conv(inputs)).mean((2, 3)))


def build_r50(name, **options):
    head = 'model.roi_head.bbox_head'
    options = {f'{head}.num_classes': C, 'model.test_cfg.rpn.max_per_img': 10, **options}
    path, = CONFIGS.glob(f'*/faster-rcnn_r50_fpn_{name}_lvis-v0.5.py')
    return build_model(str(path), options).eval()


def test_parameters_are_weights_and_biases_without_buffers():
    model = Toy()
    # Convolution, batch norm (whose three buffers do not count), linear.
    assert count_parameters(model) == (5 * 3 * 9 + 5) + 2 * 5 + (7 * 5 + 7)
    model.conv.requires_grad_(False)
    assert count_parameters(model, only_learning=True) == 2 * 5 + (7 * 5 + 7)


def test_a_multiply_add_counts_once():
    # 8 x 12 pixels become 4 x 6; each of the 5 outputs takes 3 * 9 multiply-adds.
    assert count_multiply_adds(Toy(), 8, 12) == 4 * 6 * 5 * 27 + 5 * 7


def test_a_proposal_costs_its_four_linear_layers():
    few, many = (count_multiply_adds(build_r50(
        'sce-2x', **{'model.test_cfg.rpn.max_per_img': num}), 64, 64) for num in (10, 30))
    # The pooled feature map, the two shared layers, C + 1 scores and 4 C box offsets.
    assert many - few == 20 * (256 * 7 * 7 * 1024 + 1024 * 1024 + 1024 * (C + 1 + 4 * C))


def test_the_rpn_is_counted_on_all_five_levels():
    model = build_r50('sce-2x')
    total = count_multiply_adds(model, 64, 64)
    model.rpn_head.forward = lambda feats: None
    positions = 16**2 + 8**2 + 4**2 + 2**2 + 1
    # A 3 x 3 convolution, then one score and four offsets for each of three anchors.
    per_position = 256 * 256 * 9 + 256 * 3 * (1 + 4)
    assert total - count_multiply_adds(model, 64, 64) == positions * per_position


def test_stage_two_costs_what_the_baseline_costs():
    baseline, stage2 = build_r50('sce-2x'), build_r50('bacl-stage2')
    assert stage2.roi_head.augmenters[0].distribution.mean.numel() > 0
    assert count_parameters(stage2) == count_parameters(baseline)
    assert count_multiply_adds(stage2, 64, 96) == count_multiply_adds(baseline, 64, 96)


def test_a_detector_of_one_stage_costs_four_times_as_much_on_four_times_the_pixels():
    model = MODELS.build(dict(
        type='RetinaNet',
        backbone=dict(type='ResNet', depth=18, num_stages=1, strides=(1,), dilations=(1,),
                      out_indices=(0,)),
        neck=dict(type='FPN', in_channels=[64], out_channels=8, num_outs=1),
        bbox_head=dict(type='RetinaHead', num_classes=C, in_channels=8, feat_channels=8,
                       stacked_convs=1,
                       anchor_generator=dict(type='AnchorGenerator', scales=[8], ratios=[1.0],
                                             strides=[4])))).eval()
    assert count_multiply_adds(model, 64, 64) == 4 * count_multiply_adds(model, 32, 32) > 0


@pytest.mark.parametrize('whole_prediction', [True, False])
def test_speed_is_one_over_the_median_time_after_warm_up(whole_prediction, monkeypatch):
    model = build_r50('sce-2x')
    assert 0 < measure_fps(model, 32, 32, 1, 0, whole_prediction) < 1e6
    # One image of warm-up, then 5 s, 1 s and 2 s.
    clock = iter([0, 100, 0, 5, 0, 1, 0, 2])
    monkeypatch.setattr(cost.time, 'perf_counter', lambda: next(clock))
    assert measure_fps(model, 32, 32, 3, 1, whole_prediction) == 1 / 2


def test_speed_needs_an_image():
    with pytest.raises(ValueError, match=r'num_images=\) expects a positive int, got 0'):
        measure_fps(Toy(), 32, 32, num_images=0)
