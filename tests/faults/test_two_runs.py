"""Two runs in one work_dir: the second is told. A dead one is in nobody's way."""
import json
import signal
import socket
from pathlib import Path

import pytest

LOG_EVERY_STEP = 'default_hooks = dict(logger=dict(interval=1))'


@pytest.fixture
def running(project, faults):
    """A training that is going on, with its work_dir and config."""
    config = project.config('stage1', LOG_EVERY_STEP, max_epochs=100)
    work_dir = project.folder / 'run'
    with faults.ended(project.start(config, work_dir)) as process:
        faults.wait_for_step(process, 1, 3)
        yield process, work_dir, config


def test_second_run_is_told_and_the_first_goes_on(project, running, faults):
    process, work_dir, config = running
    before = sorted(path.name for path in work_dir.iterdir() if path.is_dir())
    code, output = project.run(config, work_dir)
    assert code == 1
    error = output.strip().splitlines()[-1]
    assert error.startswith('RuntimeError: --work-dir expects a folder without a run in it')
    assert f'process {process.pid} on {socket.gethostname()} (since 2' in error
    # Not even a log of it.
    assert sorted(path.name for path in work_dir.iterdir() if path.is_dir()) == before
    faults.wait_for_step(process, 3, 1)


def test_run_that_was_killed_is_not_in_the_way(project, running, faults):
    process, work_dir, _ = running
    faults.wait_for_step(process, 2, 1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert json.loads((work_dir / 'run.lock').read_text())['pid'] == process.pid
    last = Path((work_dir / 'last_checkpoint').read_text())
    epoch = int(last.stem.removeprefix('epoch_'))
    # At once: processes of the loader may still be there.
    project.train(project.config('stage1', max_epochs=epoch + 1), work_dir, '--resume')
    assert (work_dir / 'run.lock').read_text() == ''


@pytest.mark.dist
def test_ranks_are_one_run_and_a_second_one_of_ranks_is_told(project, running):
    _, work_dir, _ = running
    config = project.config('stage1')
    project.train(config, project.folder / 'other', processes=2)
    code, output = project.run(config, work_dir, processes=2)
    assert code != 0
    assert '--work-dir expects a folder without a run in it' in output


def test_run_on_another_host_is_told_what_to_remove(project):
    work_dir = project.folder / 'run'
    work_dir.mkdir()
    lock = work_dir / 'run.lock'
    note = dict(host='elsewhere', pid=7, job='slurm 12', since='2026-01-01 00:00:00')
    lock.write_text(json.dumps(note))
    config = project.config('stage1')
    code, output = project.run(config, work_dir)
    assert code == 1
    assert 'process 7 on elsewhere (since 2026-01-01 00:00:00) is using or did not leave' in output
    assert f'If it has ended, remove {lock} and start again' in output
    assert json.loads(lock.read_text()) == note
