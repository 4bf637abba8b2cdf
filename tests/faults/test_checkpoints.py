"""Checkpoints that are not what they are given for, handed to the real tools."""
import os
from pathlib import Path

import bacl  # noqa: F401
import pytest
import torch
from bacl.engine.running.build import build_model

ROOT = Path(__file__).resolve().parents[2]
STAGE1, STAGE2 = (
    str(ROOT / f'configs/{name}.py') for name in (
        'baselines/faster-rcnn_effnet-lite0_emoji-lt-smoke_stage1',
        'bacl/faster-rcnn_effnet-lite0_emoji-lt-smoke_stage2-bacl'))
CLASSES = {'model.roi_head.bbox_head.num_classes': 7}
OFFICIAL_NAMES = {
    'roi_head.bbox_head.loss_cls.indicator.score_sum': 'roi_head.bbox_head.loss_cls.cm_numerator',
    'roi_head.bbox_head.loss_cls.indicator.num_samples': 'roi_head.bbox_head.loss_cls.num_gt',
}


class Marker:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.fixture(scope='module')
def states():
    """State dicts of detectors: of both stages, with other classes, of another architecture."""
    stage1 = build_model(STAGE1).state_dict()
    other = {name.replace('backbone.', 'backbone.layer1.'): tensor
             for name, tensor in stage1.items()}
    return {'stage1': stage1, 'stage2-bacl': build_model(STAGE2).state_dict(),
            '7 classes': build_model(STAGE1, CLASSES).state_dict(),
            'architecture': other}


@pytest.fixture
def hand_over(project, smoke_data, warm_python):
    """Give a checkpoint to a tool in one of the ways there are; return exit code and output."""
    data = (f'test_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False, '
            f'dataset=dict(data_root={str(smoke_data)!r}, indices=4))\n'
            f'test_evaluator = dict(ann_file={str(smoke_data)!r} + '
            "'/annotations/emoji_lt_val.json', exhaustive_ann_file=None)\n")

    def run(way, checkpoint):
        work_dir = project.folder / 'run'
        if way == 'test':
            config = project.folder / 'test.py'
            config.write_text(f"_base_ = {STAGE1!r}\n{data}")
            result = warm_python.run(
                [ROOT / 'tools/test.py', config, checkpoint, '--work-dir', work_dir],
                env=project.environment, cwd=project.folder, timeout=240)
            return result.returncode, result.stdout
        stage = 'stage1' if way == '--resume' else 'stage2-bacl'
        return project.run(project.config(stage), work_dir, way, checkpoint)

    return run


def refusal(result):
    """The last line of the output of a tool that has refused something."""
    code, output = result
    assert code == 1, output[-3000:]
    return output.strip().splitlines()[-1]


def save(path, weights, **more):
    torch.save(dict(state_dict=weights, meta=dict(mmengine_version='0.10.7', epoch=1, iter=3),
                    message_hub=dict(), **more), path)
    return path


every_way = pytest.mark.parametrize('way', ['test', '--stage1-checkpoint', '--resume'])


@every_way
def test_payload_of_a_malicious_checkpoint_does_not_run(hand_over, states, tmp_path, way):
    marker = tmp_path / 'executed'
    path = save(tmp_path / 'malicious.pth', states['stage1'], optimizer=Marker(marker))
    error = refusal(hand_over(way, path))
    assert error.startswith('bacl.compat.checkpoints.UnsafeCheckpointError: Checkpoint ')
    assert 'malicious.pth is refused: it asks for posix.mkdir' in error
    assert not marker.exists()
    torch.load(path, weights_only=False)  # the trap works
    assert marker.exists()


@every_way
def test_truncated_checkpoint_is_named(hand_over, states, tmp_path, way):
    path = save(tmp_path / 'truncated.pth', states['stage1'])
    os.truncate(path, path.stat().st_size * 3 // 4)
    code, output = hand_over(way, path)
    assert code == 1
    assert 'truncated.pth cannot be read; it may be truncated, copy or download it' in output
    assert 'Epoch(' not in output


@pytest.mark.parametrize('way, kind, named', [
    ('test', 'architecture', 'backbone.'),
    ('--stage1-checkpoint', 'architecture', 'backbone.'),
    ('--stage1-checkpoint', '7 classes', 'roi_head.bbox_head.fc_cls.weight: (8, '),
    ('--resume', '7 classes', 'roi_head.bbox_head.fc_cls.weight: (8, ')])
def test_weights_that_do_not_fit_are_named(hand_over, states, tmp_path, way, kind, named):
    error = refusal(hand_over(way, save(tmp_path / 'other.pth', states[kind])))
    assert error.startswith(f'ValueError: Checkpoint {tmp_path / "other.pth"} does not fit the '
                            f'model: {named}')
    assert "choose the checkpoint that was trained with this config's classes" in error


def test_weights_of_stage2_are_no_start_of_stage2(hand_over, states, tmp_path):
    path = save(tmp_path / 'epoch_9.pth', states['stage2-bacl'])
    error = refusal(hand_over('--stage1-checkpoint', path))
    assert 'epoch_9.pth, which has been through stage 2 already' in error
    assert '--resume' in error and 'load_from=FILE' in error


@pytest.mark.parametrize('way, stage', [('test', 'stage2-bacl'), ('--stage1-checkpoint', 'stage1')])
def test_official_checkpoint_is_pointed_to_the_converter(hand_over, states, tmp_path, way, stage):
    weights = {OFFICIAL_NAMES.get(name, name): tensor for name, tensor in states[stage].items()}
    torch.save(dict(state_dict=weights, optimizer={}, meta=dict(
        mmdet_version='2.8.0', mmcv_version='1.2.7', epoch=12, CLASSES=('acorn',) * 24)),
        tmp_path / 'official.pth')
    error = refusal(hand_over(way, tmp_path / 'official.pth'))
    assert 'official.pth is a checkpoint of MMDetection 2.8.0. Convert it: ' in error
    assert 'python tools/model_converters/convert_official_bacl.py CONFIG CHECKPOINT OUT' in error


def test_a_sound_checkpoint_passes(hand_over, states, tmp_path):
    """What the refusals above are about is the checkpoint, nothing else."""
    path = save(tmp_path / 'sound.pth', states['stage1'])
    code, output = hand_over('test', path)
    assert code == 0, output[-3000:]
    assert 'tensors loaded' in output
    code, output = hand_over('--stage1-checkpoint', path)
    assert code == 0, output[-3000:]
    assert f'Stage 2 starts from the stage-1 checkpoint {path}' in output
