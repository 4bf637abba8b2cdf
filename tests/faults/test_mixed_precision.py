"""--amp in both stages: the network computes in bfloat16, what is collected stays exact."""
import json
import math
import re

import pytest


@pytest.fixture
def arguments(stage1_run):
    """Arguments of tools/train.py by stage."""
    return {'stage1': [], 'stage2-bacl': ['--stage1-checkpoint', stage1_run / 'epoch_3.pth']}


def losses(folder):
    """The losses of all steps of the newest run."""
    log = max(folder.glob('*/vis_data/scalars.json'))
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    return [{name: value for name, value in step.items() if 'loss' in name} for step in steps]


@pytest.mark.parametrize('stage', ['stage1', 'stage2-bacl'])
def test_bfloat16_on_a_cpu(project, faults, arguments, stage):
    hooks = dict(logger=dict(interval=1), dtypes=dict(type='TellDtypesHook'))
    config = project.config(stage, f'default_hooks = {hooks}',
                            'log_processor = dict(window_size=1)')
    output = project.train(config, project.folder / 'amp', '--amp', *arguments[stage])
    said = [line.split(' - INFO - ')[1].split() for line in output.splitlines()
            if re.search(' - INFO - (LOGITS|LOSS|STATE) ', line)]
    assert {line[1] for line in said if line[0] == 'LOGITS'} == {'torch.bfloat16'}
    # A sum over samples and classes leaves the range of float16, and the digits of bfloat16.
    assert {line[1] for line in said if line[0] == 'LOSS'} == {'torch.float32'}
    dtypes = {line[1]: line[2] for line in said if line[0] == 'STATE'}
    assert 'torch.bfloat16' not in dtypes.values()
    if stage == 'stage2-bacl':
        assert dtypes['roi_head.bbox_head.loss_cls.indicator.score_sum'] == 'torch.float64'
        assert dtypes['roi_head.augmenters.0.distribution.mean'] == 'torch.float32'

    project.train(config, project.folder / 'float32', *arguments[stage])
    ours, exact = losses(project.folder / 'amp'), losses(project.folder / 'float32')
    assert len(ours) == faults.NUM_BATCHES
    assert all(math.isfinite(value) for step in ours for value in step.values())
    for step, expected in zip(ours, exact, strict=True):
        # The same images and anchors; but RoIs are sampled among proposals that are rounded, and
        # in a batch of four images a few of them weigh much.
        for name in ('loss_rpn_cls', 'loss_rpn_bbox'):
            assert step[name] == pytest.approx(expected[name], rel=0.02)
        assert step['loss'] == pytest.approx(expected['loss'], rel=0.15)
