"""A run that is killed in the middle of an epoch and resumed ends like one that is not."""
import pytest


@pytest.fixture
def whole_run(request, project, stage1_run):
    """Stage, work_dir of a training without interruption, and arguments of it."""
    if request.param == 'stage1':
        return 'stage1', stage1_run, []
    arguments = ['--stage1-checkpoint', stage1_run / 'epoch_3.pth']
    project.train(project.config('stage2-bacl', max_epochs=3), project.folder / 'whole', *arguments,
                  fresh=True)
    return 'stage2-bacl', project.folder / 'whole', arguments


@pytest.mark.parametrize('whole_run', ['stage1', 'stage2-bacl'], indirect=True)
def test_killed_and_resumed_run_has_the_same_bits(project, whole_run, faults):
    stage, whole, arguments = whole_run
    in_epoch_2 = dict(kill=dict(type='KillHook', iteration=faults.NUM_BATCHES + 1))
    config = project.config(stage, f'default_hooks = {in_epoch_2}', max_epochs=3)
    code, output = project.run(config, project.folder / 'killed', *arguments)
    assert code == -9, output[-5000:]
    killed = project.folder / 'killed'
    assert [path.name for path in sorted(killed.glob('*.pth'))] == ['epoch_1.pth']
    # At once: what the dead run held must not stand in the way.
    output = project.train(project.config(stage, max_epochs=3), killed, '--resume')
    assert 'resumed epoch: 1, iter: 3' in output

    state = [faults.read(folder / 'epoch_3.pth') for folder in (whole, killed)]
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        assert faults.differences(state[0][part], state[1][part]) == []
    # The same bits would be no news if nothing had been learnt or collected since.
    before = faults.read(whole / 'epoch_1.pth')['state_dict']
    changed = set(faults.differences(before, state[0]['state_dict']))
    assert '.roi_head.bbox_head.fc_cls.weight' in changed
    if stage == 'stage2-bacl':
        assert '.roi_head.bbox_head.loss_cls.indicator.score_sum' in changed
        assert '.roi_head.augmenters.0.distribution.mean' in changed
