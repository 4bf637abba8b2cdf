import errno
import json
import logging
import multiprocessing
import os
import signal
import socket
import time
from pathlib import Path

import pytest
from bacl.engine.running import run_lock
from bacl.engine.running.restart import START, own_agent
from bacl.engine.running.run_lock import LOCK, NOTE, lock_work_dir

FORK = multiprocessing.get_context('fork')


def hold(work_dir, locked, release, with_child=False):
    """What a run does: lock, start a process of the loader, train."""
    with lock_work_dir(work_dir):
        if with_child:
            FORK.Process(target=time.sleep, args=(60,)).start()
        locked.set()
        release.wait()


@pytest.fixture
def holder(request, tmp_path):
    """Another process that has the lock of tmp_path, and the event that ends it."""
    locked, release = FORK.Event(), FORK.Event()
    process = FORK.Process(target=hold, args=(str(tmp_path), locked, release,
                                              getattr(request, 'param', False)))
    process.start()
    assert locked.wait(30)
    yield process, release
    process.kill()
    process.join()


@pytest.fixture(autouse=True)
def no_scheduler(monkeypatch):
    for name in ('SLURM_JOB_ID', 'SLURM_STEP_ID', 'TORCHELASTIC_RUN_ID'):
        monkeypatch.delenv(name, raising=False)


def write_note(tmp_path, **note):
    note = dict(host='elsewhere', pid=1, job=None, since='2026-01-01 00:00:00') | note
    (tmp_path / NOTE).write_text(json.dumps(note))


def test_note_names_the_holder_and_is_gone_afterwards(tmp_path):
    with lock_work_dir(str(tmp_path)):
        note = json.loads((tmp_path / NOTE).read_text())
        assert (note['host'], note['pid']) == (socket.gethostname(), os.getpid())
    assert not (tmp_path / NOTE).exists()
    with pytest.raises(KeyError), lock_work_dir(str(tmp_path)):
        raise KeyError
    assert not (tmp_path / NOTE).exists()


def test_folder_of_a_living_process_is_refused_with_its_name(tmp_path, holder):
    error = rf'--work-dir expects .*process {holder[0].pid} on {socket.gethostname()} \(since 2'
    for _ in range(2):  # being refused takes nothing from the holder
        with pytest.raises(RuntimeError, match=error), lock_work_dir(str(tmp_path)):
            pass


@pytest.mark.parametrize('end', ['killed', 'finished'])
def test_folder_of_a_process_that_ended_is_free(tmp_path, holder, end):
    process, release = holder
    process.kill() if end == 'killed' else release.set()
    process.join()
    assert (tmp_path / NOTE).exists() == (end == 'killed')
    with lock_work_dir(str(tmp_path)):
        pass


@pytest.mark.parametrize('holder', [True], indirect=True)
def test_children_do_not_keep_the_lock(tmp_path, holder):
    # Processes of the loader outlive a parent that was killed for some seconds.
    process, _ = holder
    children = Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()
    assert len(children) == 1
    process.kill()
    process.join()
    try:
        with lock_work_dir(str(tmp_path)):
            pass
    finally:
        os.kill(int(children[0]), signal.SIGKILL)


@pytest.mark.parametrize('job, environment', [
    (None, {}), ('slurm 12', {}), ('slurm 12', dict(SLURM_JOB_ID='13')),
    (None, dict(TORCHELASTIC_RUN_ID='none')), ('torchrun a', dict(TORCHELASTIC_RUN_ID='b'))])
def test_note_of_another_host_is_refused_with_what_to_remove(
        tmp_path, monkeypatch, job, environment):
    write_note(tmp_path, job=job)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    error = rf'process 1 on elsewhere .*did not leave properly\. .*remove {tmp_path / NOTE} and'
    with pytest.raises(RuntimeError, match=error), lock_work_dir(str(tmp_path)):
        pass
    assert 'elsewhere' in (tmp_path / NOTE).read_text()


@pytest.mark.parametrize('job, environment', [
    ('slurm 12', dict(SLURM_JOB_ID='12')),
    # A batch script goes on with its second step.
    ('slurm 12', dict(SLURM_JOB_ID='12', SLURM_STEP_ID='1')),
    ('torchrun a', dict(TORCHELASTIC_RUN_ID='a'))])
def test_job_that_was_restarted_on_another_host_goes_on(tmp_path, monkeypatch, job, environment):
    write_note(tmp_path, job=job)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with lock_work_dir(str(tmp_path)):
        assert json.loads((tmp_path / NOTE).read_text())['pid'] == os.getpid()


@pytest.mark.parametrize('content', ['', 'x', '[]', 'null', '{}', '{"host": "elsewhere", "pi'])
def test_damaged_note_is_nobodys(tmp_path, content):
    (tmp_path / NOTE).write_text(content)
    with lock_work_dir(str(tmp_path)):
        assert json.loads((tmp_path / NOTE).read_text())['pid'] == os.getpid()


def test_file_system_without_locks_is_a_warning(tmp_path, monkeypatch):
    def acquire(lock, blocking):
        raise OSError(errno.ENOLCK, 'No locks available')

    said = []
    monkeypatch.setattr(run_lock.FileLock, 'acquire', acquire)
    monkeypatch.setattr(run_lock, 'print_log', lambda *args, **kwargs: said.append((args, kwargs)))
    with lock_work_dir(str(tmp_path)):
        assert (tmp_path / NOTE).exists()
    ((message,), kwargs), = said
    assert str(tmp_path / LOCK) in message and 'No locks available' in message
    assert kwargs['level'] == logging.WARNING


def test_sigterm_leaves_the_folder_to_other_hosts(tmp_path, holder):
    process, _ = holder
    os.kill(process.pid, signal.SIGTERM)
    process.join()
    assert process.exitcode == -signal.SIGTERM
    assert not (tmp_path / NOTE).exists()


def test_job_whose_agent_is_known_may_move_to_another_host(tmp_path, monkeypatch):
    write_note(tmp_path)
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'none')
    (tmp_path / START).write_text(json.dumps(dict(agents=[['elsewhere', 5]])))
    with pytest.raises(RuntimeError, match='did not leave properly'), lock_work_dir(str(tmp_path)):
        pass
    (tmp_path / START).write_text(json.dumps(dict(agents=[['elsewhere', 5], own_agent()])))
    with lock_work_dir(str(tmp_path)):
        pass
