import json
import os
from types import SimpleNamespace

import pytest
from bacl.engine.running import restart
from bacl.engine.running.restart import START, agents_of_job, agree_on_start, own_agent


@pytest.fixture(autouse=True)
def no_scheduler(monkeypatch):
    for name in ('TORCHELASTIC_RESTART_COUNT', 'SLURM_RESTART_COUNT', 'TORCHELASTIC_RUN_ID'):
        monkeypatch.delenv(name, raising=False)


def start(work_dir, resume=False, load_from='stage1.pth'):
    """What a run starts from."""
    runner = SimpleNamespace(work_dir=str(work_dir), _resume=resume, _load_from=load_from)
    agree_on_start(runner)
    return runner._resume, runner._load_from


def write(path, seconds):
    """A file that is written that long after the job has started."""
    path.write_text('')
    started = path.parent / START
    time = started.stat().st_mtime_ns + int(seconds * 1e9)
    os.utime(path, ns=(time, time))
    return str(path)


def test_first_start_is_what_the_user_said(tmp_path):
    (tmp_path / 'epoch_3.pth').touch()
    assert start(tmp_path) == (False, 'stage1.pth')
    assert agents_of_job(tmp_path) == []
    assert start(tmp_path, True, 'mine.pth') == (True, 'mine.pth')


@pytest.mark.parametrize('variable', ['TORCHELASTIC_RESTART_COUNT', 'SLURM_RESTART_COUNT'])
def test_restarted_job_goes_on_from_its_newest_checkpoint(tmp_path, monkeypatch, variable):
    start(tmp_path)
    write(tmp_path / 'epoch_1.pth', 1)
    newest = write(tmp_path / 'epoch_2.pth', 2)
    monkeypatch.setenv(variable, '1')
    for told in ((False, 'stage1.pth'), (True, 'other.pth')):
        for _ in range(2):  # a second restart knows when the job began
            assert start(tmp_path, *told) == (True, newest)


def test_checkpoints_of_an_earlier_job_are_not_its_own(tmp_path, monkeypatch):
    start(tmp_path)
    write(tmp_path / 'epoch_12.pth', -100)
    monkeypatch.setenv('SLURM_RESTART_COUNT', '1')
    assert start(tmp_path) == (False, 'stage1.pth')
    assert start(tmp_path, True, 'epoch_12.pth') == (True, 'epoch_12.pth')
    # A job that is restarted before it could say that it started has none either.
    (tmp_path / START).unlink()
    assert start(tmp_path) == (False, 'stage1.pth')


def test_new_ranks_of_the_same_agent_are_a_restart(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'none')
    start(tmp_path)
    assert agents_of_job(tmp_path) == [own_agent()]
    newest = write(tmp_path / 'epoch_1.pth', 1)
    assert start(tmp_path) == (True, newest)
    # By another agent, or one with the same number later on, it is a new job.
    (tmp_path / START).write_text(json.dumps(dict(agents=[[*own_agent()[:2], 0]])))
    assert start(tmp_path) == (False, 'stage1.pth')
    monkeypatch.setattr(restart.os, 'getppid', lambda: 1)
    assert start(tmp_path) == (False, 'stage1.pth')


@pytest.mark.parametrize('rank', [0, 1])
def test_restart_that_another_rank_knows_of_counts_and_the_main_rank_decides(
        tmp_path, monkeypatch, rank):
    start(tmp_path)
    newest = write(tmp_path / 'epoch_1.pth', 1)
    monkeypatch.setattr(restart, 'all_gather_object', lambda told: [(False, None), (True, None)])
    monkeypatch.setattr(restart, 'is_main_process', lambda: rank == 0)
    sent = []
    monkeypatch.setattr(restart, 'broadcast_object_list',
                        lambda data: sent.append(list(data)) or data.__setitem__(
                            slice(None), [True, newest]))
    assert start(tmp_path) == (True, newest)
    assert sent == ([[True, newest]] if rank == 0 else [[False, 'stage1.pth']])


def test_agents_of_all_ranks_are_noted(tmp_path, monkeypatch):
    monkeypatch.setattr(restart, 'all_gather_object', lambda told: [
        (False, ['a', 1]), (False, ['a', 1]), (False, ['b', 1])])
    start(tmp_path)
    assert sorted(json.loads((tmp_path / START).read_text())['agents']) == [['a', 1], ['b', 1]]
