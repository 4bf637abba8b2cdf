import re
import sys
from pathlib import Path

import pytest
import torch
from bacl.engine.running.build import build_model

CONFIG = str(Path(__file__).resolve().parents[2] /
             'configs/baselines/faster-rcnn_r50_fpn_sce-2x_lvis-v0.5.py')
OPTIONS = ['model.roi_head.bbox_head.num_classes=2', 'model.test_cfg.rpn.max_per_img=5']


@pytest.fixture
def get_cost(load_tool, monkeypatch, capsys):
    """Return what the tool prints for a command line."""
    tool = load_tool('analysis_tools/get_cost.py')

    def run(*argv):
        monkeypatch.setattr(sys, 'argv', ['get_cost.py', *argv])
        tool.main()
        return capsys.readouterr().out

    return run


def small(*argv):
    return [CONFIG, '--device', 'cpu', '--shape', '64', '32', *argv, '--cfg-options', *OPTIONS]


def test_cost_of_a_config_is_printed(get_cost):
    out = get_cost(*small('--num-images', '1'))
    # The frozen part is the stem (convolution and batch norm) and the three blocks of layer 1.
    numbers = re.search(r'parameters: ([\d.]+) M, ([\d.]+) M of them', out).groups()
    assert float(numbers[0]) - float(numbers[1]) == pytest.approx(0.225344, abs=0.01)
    assert 'input: 64 x 32' in out
    assert float(re.search(r'FLOPs: ([\d.]+) G', out).group(1)) > 0
    assert re.search(r'FPS: [\d.]+ images/s \(network alone, cpu\)', out)


def test_speed_can_be_left_out(get_cost):
    assert 'FPS' not in get_cost(*small('--no-fps'))


def test_speed_of_whole_predictions_needs_weights(get_cost, tmp_path):
    model = build_model(CONFIG, {'model.roi_head.bbox_head.num_classes': 2})
    path = tmp_path / 'model.pth'
    torch.save(dict(state_dict=model.state_dict()), path)
    out = get_cost(*small('--num-images', '1', '--checkpoint', str(path)))
    assert '(whole prediction, cpu)' in out


@pytest.mark.parametrize('argv, message', [
    (['no.py'], r"FileNotFoundError: config expects an existing file, got 'no\.py'"),
    (small('--checkpoint', 'no.pth'), '--checkpoint expects an existing file'),
    (small('--num-images', '0'), r'num_images=\) expects a positive int'),
])
def test_bad_input_is_one_line(get_cost, argv, message):
    with pytest.raises(SystemExit, match=message):
        get_cost(*argv)
