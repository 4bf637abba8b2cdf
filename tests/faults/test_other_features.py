"""What mmengine offers beside plain training works with BACL, or is refused with a reason."""
import json
import textwrap

import pytest
import torch

STATE = 'roi_head.bbox_head.loss_cls.indicator.', 'roi_head.augmenters.0.distribution.'


def is_collected(name):
    return name.startswith(STATE)


def hooks(**more):
    return 'default_hooks = ' + repr(more)


@pytest.fixture
def stage2(project, stage1_run):
    """Trains stage 2 with settings; returns work_dir, exit code and output."""
    def run(*settings, work_dir='run', arguments=(), processes=1, **kwargs):
        config = project.config('stage2-bacl', *settings, **kwargs)
        code, output = project.run(
            config, project.folder / work_dir, '--stage1-checkpoint', stage1_run / 'epoch_3.pth',
            *arguments, processes=processes)
        return project.folder / work_dir, code, output
    return run


@pytest.fixture
def train_stage2(stage2):
    """Trains stage 2, which must succeed; returns the work_dir."""
    def run(*settings, **kwargs):
        work_dir, code, output = stage2(*settings, **kwargs)
        assert code == 0, output[-5000:]
        return work_dir
    return run


def test_gradient_accumulation_observes_every_batch_once(train_stage2, faults):
    # At rest, so that both runs see the same RoIs.
    at_rest = 'param_scheduler = []\n' \
        'optim_wrapper = dict(optimizer=dict(lr=0.0), accumulative_counts={})'
    ours, theirs = (
        faults.read(train_stage2(at_rest.format(count), work_dir=f'{count}') / 'epoch_1.pth')
        for count in (3, 1))
    assert ours['state_dict'][f'{STATE[0]}num_samples'].sum() > 0
    assert faults.differences(ours['state_dict'], theirs['state_dict']) == []
    steps = [{int(state['step']) for state in checkpoint['optimizer']['state'].values()}
             for checkpoint in (ours, theirs)]
    assert steps == [{1}, {faults.NUM_BATCHES}]


def test_gradient_checkpointing_of_the_backbone_changes_nothing(project, faults):
    for with_cp in (True, False):
        # No weights are downloaded; one stage is frozen, so the next gets images without gradient.
        model = f"""
            model = dict(
                backbone=dict(_delete_=True, type='ResNet', depth=18, num_stages=4,
                              out_indices=(0, 1, 2, 3), frozen_stages=1, norm_eval=False,
                              norm_cfg=dict(type='BN', requires_grad=True), with_cp={with_cp}),
                neck=dict(in_channels=[64, 128, 256, 512]))"""
        config = project.config('stage1', hooks(curve=dict(type='LossCurveHook')),
                                textwrap.dedent(model))
        project.train(config, project.folder / str(with_cp))
    ours, theirs = (json.loads((project.folder / name / 'losses.json').read_text())
                    for name in ('True', 'False'))
    assert len(ours) == faults.NUM_BATCHES
    for step, expected in zip(ours, theirs, strict=True):
        assert step == pytest.approx(expected, rel=1e-4)


def test_gradient_checkpointing_without_gradient_is_refused(project):
    config = project.config('stage1', "activation_checkpointing = ['backbone']")
    code, output = project.run(config, project.folder / 'run')
    assert code == 1
    assert "activation_checkpointing: 'backbone' would not learn" in output


def test_ema_averages_weights_and_leaves_what_is_collected_alone(train_stage2, faults):
    plain = faults.read(train_stage2(work_dir='plain') / 'epoch_1.pth')['state_dict']
    ema = "custom_hooks = [dict(type='LongTermIndicatorHook'), " \
        "dict(type='ShortTermIndicatorHook'), dict(type='EMAHook', momentum=0.1)]"
    folder = train_stage2(ema)
    checkpoint = faults.read(folder / 'epoch_1.pth')
    averaged = checkpoint['state_dict']
    collected = [name for name in plain if is_collected(name)]
    assert len(collected) == 5
    for name in collected:
        assert torch.equal(averaged[name], plain[name]), name
    weight = 'roi_head.bbox_head.fc_cls.weight'
    assert not torch.equal(averaged[weight], plain[weight])
    # mmengine keeps the weights that training goes on with beside it.
    assert torch.equal(checkpoint['ema_state_dict'][f'module.{weight}'], plain[weight])


def test_ema_of_buffers_is_refused(stage2):
    _, code, output = stage2(
        "custom_hooks = [dict(type='LongTermIndicatorHook'), "
        "dict(type='EMAHook', update_buffers=True)]")
    assert code == 1
    assert 'EMAHook(update_buffers=) expects False' in output and 'ConfusionMatrix' in output


@pytest.mark.dist
def test_sync_buffers_hook_leaves_counts_alone(train_stage2, faults):
    two = dict(processes=2, arguments=['--cfg-options', 'train_dataloader.batch_size=2'])
    plain = train_stage2(work_dir='plain', **two)
    synced = train_stage2(hooks(sync=dict(type='SyncBuffersHook')), **two)
    # The mean of two equal numbers is exact.
    assert faults.differences(*(faults.read(folder / 'epoch_1.pth')['state_dict']
                                for folder in (plain, synced))) == []


@pytest.mark.dist
def test_sync_batch_norm_is_refused_on_a_cpu(stage2):
    _, code, output = stage2(processes=2, arguments=['--cfg-options', 'sync_bn=torch'])
    assert code == 1
    # Said by torch.
    assert 'SyncBatchNorm layers only work with GPU modules' in output
