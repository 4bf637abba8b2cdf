"""Both stages on Emoji-LT smoke, with the tools, configs and hooks that users run."""
import importlib.util
import json
import math
import shutil
import sys
from pathlib import Path

import bacl  # noqa: F401
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import RUNNERS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
NAME = 'faster-rcnn_effnet-lite0_emoji-lt-smoke'
INDICATOR = 'roi_head.bbox_head.loss_cls.indicator'


class StateBeforeTraining(Hook):
    """Remembers the model's state after the checkpoint was loaded."""

    def before_train(self, runner):
        self.state = {k: v.clone() for k, v in runner.model.state_dict().items()}


def call(tool, function, config, *argv):
    """Call a function of tools/<tool>.py with the command line `<config> *argv`."""
    spec = importlib.util.spec_from_file_location(f'end_to_end_{tool}', ROOT / f'tools/{tool}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config, = ROOT.glob(f'configs/*/{NAME}_{config}.py')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', [f'{tool}.py', str(config), *map(str, argv)])
        return function(module)


class Project:
    """A folder with a dataset and the work_dirs of runs."""

    def __init__(self, data, folder):
        self.data = data
        self.folder = folder

    def work_dir(self, config):
        return self.folder / f'{NAME}_{config}'

    def arguments(self, config, *options, data=None):
        data = data or self.data
        splits = dict(train='train', val='val', test='val')
        return ['--work-dir', self.work_dir(config), '--cfg-options', 'train_cfg.max_epochs=1',
                *(f'{split}_dataloader.{option}' for split in splits for option in (
                    f'dataset.data_root={data}', 'num_workers=0', 'persistent_workers=False')),
                *(f'{split}_evaluator.{prefix}ann_file={data}/annotations/emoji_lt_val{suffix}.json'
                  for split in ('val', 'test')
                  for prefix, suffix in (('', ''), ('exhaustive_', '_exhaustive'))),
                *options]

    def load(self, config, *options):
        """The config as tools/train.py makes it of the command line."""
        arguments = self.arguments(config, *options)
        return call('train', lambda tool: tool.load_config(tool.parse_args()), config,
                    '--seed', 0, *arguments)

    def train(self, config, *options):
        """Train; return the state before the first step and the log."""
        probe = StateBeforeTraining()
        runner = RUNNERS.get('Runner').from_cfg(self.load(config, *options))
        runner.register_hook(probe)
        runner.train()
        return probe.state, Path(runner.log_dir, f'{runner.timestamp}.log').read_text()

    def test(self, config, checkpoint, *argv, data=None):
        """Run tools/test.py; return the metrics that it has written."""
        call('test', lambda tool: tool.main(), config, checkpoint, *argv,
             *self.arguments(config, data=data))
        return json.loads((self.work_dir(config) / 'metrics.json').read_text())


@pytest.fixture(scope='module')
def project(smoke_data, tmp_path_factory):
    return Project(smoke_data, tmp_path_factory.mktemp('end_to_end'))


@pytest.fixture(scope='module')
def stage1(project):
    project.train('stage1')
    return project.work_dir('stage1') / 'epoch_1.pth'


@pytest.fixture(scope='module')
def stage2(project, stage1):
    """Checkpoint of one epoch of stage 2, and its log."""
    _, log = project.train('stage2-bacl')
    return project.work_dir('stage2-bacl') / 'epoch_1.pth', log


@pytest.fixture(scope='module')
def resumed(project, stage2):
    """State that stage 2 goes on from, and the checkpoint of its second epoch."""
    state, _ = project.train('stage2-bacl', 'train_cfg.max_epochs=2', 'resume=True')
    return state, project.work_dir('stage2-bacl') / 'epoch_2.pth'


def read(checkpoint):
    return torch.load(checkpoint, weights_only=True)


def test_stage2_says_where_it_starts_and_what_is_new(stage1, stage2):
    _, log = stage2
    report = next(line for line in log.splitlines() if f'Checkpoint {stage1}:' in line)
    assert 'tensors loaded' in report
    assert 'start empty' in report and f'{INDICATOR}.score_sum' in report
    assert 'in the model but not' not in report and 'of different shape' not in report


def test_stage2_trains_the_classifier_and_nothing_of_the_extractor(stage1, stage2):
    before, after = read(stage1)['state_dict'], read(stage2[0])['state_dict']
    frozen = [name for name in before if name.startswith(('backbone', 'neck'))]
    assert frozen and all(torch.equal(before[name], after[name]) for name in frozen)
    classifier = 'roi_head.bbox_head.fc_cls.weight'
    assert not torch.equal(before[classifier], after[classifier])


def test_resumed_run_continues_the_collected_state(stage2, resumed):
    first, (start, second) = read(stage2[0])['state_dict'], resumed
    second = read(second)
    assert second['meta']['epoch'] == 2
    collected = [name for name in first if 'indicator' in name or 'distribution' in name]
    assert f'{INDICATOR}.num_samples' in collected and len(collected) > 2
    for name in first:
        assert torch.equal(first[name], start[name]), name
    for name in ('score_sum', 'num_samples'):
        grown = second['state_dict'][f'{INDICATOR}.{name}'] - first[f'{INDICATOR}.{name}']
        assert grown.min() >= 0 and grown.sum() > 0, name
    # Every sample adds one to the count and a softmax to the sum.
    state = second['state_dict']
    torch.testing.assert_close(state[f'{INDICATOR}.score_sum'].sum(1),
                               state[f'{INDICATOR}.num_samples'])


def test_checkpoint_is_evaluated(project, resumed):
    metrics = project.test('stage2-bacl', resumed[1])
    assert {'lvis/bbox_AP', 'lvis/bbox_APr', 'lvis/bbox_APc', 'lvis/bbox_APf'} <= set(metrics)
    assert math.isfinite(metrics['lvis/bbox_AP']) and 0 <= metrics['lvis/bbox_AP'] <= 1


def test_stage2_without_stage1_is_refused(project, tmp_path):
    with pytest.raises(FileNotFoundError, match=f'stage1-checkpoint expects.*{NAME}_stage1'):
        Project(project.data, tmp_path).load('stage2-bacl')


def test_stage1_of_another_number_of_classes_is_refused(project, stage1, tmp_path):
    weights = read(stage1)['state_dict']
    for name in ('fc_cls.weight', 'fc_cls.bias', 'fc_reg.weight', 'fc_reg.bias'):
        tensor = weights[f'roi_head.bbox_head.{name}']
        weights[f'roi_head.bbox_head.{name}'] = torch.cat([tensor, tensor[:4]])
    torch.save(dict(state_dict=weights), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=r'other\.pth does not fit.*fc_cls\.weight: \(29, '):
        Project(project.data, tmp_path).train('stage2-bacl', f'load_from={tmp_path}/other.pth')


def test_config_of_another_number_of_classes_is_refused(project, stage1):
    box_head = 'model.roi_head.bbox_head'
    with pytest.raises(ValueError, match=r'fc_cls\.weight: \(25, \d+\) .*\(24, \d+\) in the model'):
        project.train('stage2-bacl', f'{box_head}.num_classes=23',
                      f'{box_head}.loss_cls.num_classes=23')


def test_missing_image_is_named_and_may_be_skipped(project, stage2, tmp_path):
    data = tmp_path / 'smoke'
    shutil.copytree(project.data, data)
    image = sorted((data / 'val').iterdir())[0]
    image.unlink()
    with pytest.raises(FileNotFoundError, match=image.name):
        project.test('stage2-bacl', stage2[0], data=data)
    metrics = project.test('stage2-bacl', stage2[0], '--skip-unreadable', data=data)
    assert math.isfinite(metrics['lvis/bbox_AP'])


def test_another_order_of_categories_is_refused(project, stage2, tmp_path):
    data = tmp_path / 'smoke'
    shutil.copytree(project.data, data)
    for name in ('val', 'val_exhaustive'):
        file = data / f'annotations/emoji_lt_{name}.json'
        annotations = json.loads(file.read_text())
        annotations['categories'].reverse()
        file.write_text(json.dumps(annotations))
    with pytest.raises(ValueError, match=r'Label 0 is .*emoji_lt_val\.json.*epoch_1\.pth'):
        project.test('stage2-bacl', stage2[0], data=data)
