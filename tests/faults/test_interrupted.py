"""Ctrl-C, SIGTERM, a kill while a checkpoint is written: what is left is whole, and goes on."""
import signal

import pytest

LOG_EVERY_STEP = 'default_hooks = dict(logger=dict(interval=1))'


@pytest.mark.parametrize('number, code', [(signal.SIGINT, 130), (signal.SIGTERM, -15)],
                         ids=['Ctrl-C', 'SIGTERM'])
def test_run_that_is_told_to_stop_leaves_its_last_checkpoint(project, faults, number, code):
    config = project.config('stage1', LOG_EVERY_STEP, max_epochs=50)
    work_dir = project.folder / 'run'
    with faults.ended(project.start(config, work_dir)) as process:
        faults.wait_for_step(process, 2, 1)
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output
    if number == signal.SIGINT:
        assert f'Interrupted. The newest checkpoint is {work_dir}/epoch_' in output
        # A process of the loader may say that its connection is gone.
        assert 'KeyboardInterrupt' not in output
    last = sorted(work_dir.glob('*.pth'))[-1]
    assert faults.read(last)['meta']['epoch'] == int(last.stem.removeprefix('epoch_'))
    assert (work_dir / 'last_checkpoint').read_text() == str(last)
    epoch = int(last.stem.removeprefix('epoch_'))
    output = project.train(project.config('stage1', max_epochs=epoch + 1), work_dir, '--resume')
    assert f'resumed epoch: {epoch}' in output
    assert (work_dir / f'epoch_{epoch + 1}.pth').is_file()


@pytest.mark.parametrize('name', ['epoch_2.pth', 'last_checkpoint'])
def test_half_of_a_file_is_never_taken_for_it(project, faults, name):
    fault = dict(kill=dict(type='KillWhileSavingHook', name=name))
    if name == 'last_checkpoint':
        # Its first version is not what is looked for.
        fault['checkpoint'] = dict(interval=2)
    config = project.config('stage1', f'default_hooks = {fault}', max_epochs=2)
    work_dir = project.folder / 'run'
    code, output = project.run(config, work_dir)
    assert code == -9, output[-5000:]
    assert (work_dir / f'{name}.partial').stat().st_size > 0
    checkpoints = [path.name for path in sorted(work_dir.glob('*.pth'))]
    assert checkpoints == (['epoch_1.pth'] if name == 'epoch_2.pth' else ['epoch_2.pth'])
    for path in work_dir.glob('*.pth'):
        faults.read(path)

    output = project.train(project.config('stage1', max_epochs=3), work_dir, '--resume')
    assert f'resumed epoch: {checkpoints[0].removeprefix("epoch_").removesuffix(".pth")}' in output
    assert (work_dir / 'last_checkpoint').read_text() == str(work_dir / 'epoch_3.pth')
    assert not list(work_dir.glob('*.partial'))
