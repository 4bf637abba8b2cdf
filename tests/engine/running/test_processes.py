import os
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import torch
from bacl.engine.running import processes
from bacl.engine.running.processes import run_each


def say(text, folder):
    """Print to both streams, and to what C libraries write to."""
    print(text)
    print('warning', file=sys.stderr)
    os.write(1, b'from C\n')
    (folder / text).write_text(f'{os.getpid()} {torch.get_num_threads()}')


def fail(kind, folder):
    if kind == 'killed':
        os.kill(os.getpid(), 9)
    if kind == 'exit':
        os._exit(3)
    raise ValueError('x' * 10_000 if kind == 'long' else kind)


def sleep_and_write(path):
    path.with_suffix('.begun').touch()
    time.sleep(1000)
    path.touch()


def start(function, arguments, tmp_path, jobs=1):
    logs = [tmp_path / 'logs' / f'{number}.log' for number in range(len(arguments))]
    return run_each(function, arguments, logs, jobs), logs


@pytest.fixture(autouse=True)
def forks(monkeypatch):
    monkeypatch.setattr(processes.torch.cuda, 'is_available', lambda: False)


def test_every_call_has_a_process_and_a_log(tmp_path):
    ended, logs = start(say, [(text, tmp_path) for text in 'abc'], tmp_path, jobs=2)
    assert sorted(ended) == [(0, None), (1, None), (2, None)]
    assert [sorted(log.read_text().split('\n')) for log in logs] == [
        ['', text, 'from C', 'warning'] for text in 'abc']
    told = [(tmp_path / text).read_text().split() for text in 'abc']
    assert len({pid for pid, _ in told} | {str(os.getpid())}) == 4
    assert {threads for _, threads in told} == {'1'}


def test_one_call_at_a_time_keeps_the_threads(tmp_path, monkeypatch):
    threads = torch.get_num_threads()
    ended, _ = start(say, [('a', tmp_path)], tmp_path)
    assert list(ended) == [(0, None)]
    assert (tmp_path / 'a').read_text().split()[1] == str(threads)
    assert torch.get_num_threads() == threads


def test_errors_are_named_and_the_rest_goes_on(tmp_path):
    kinds = ['wrong', 'killed', 'exit', 'long', 'last']
    ended, logs = start(fail, [(kind, tmp_path) for kind in kinds], tmp_path)
    assert list(ended) == [
        (0, 'ValueError: wrong'), (1, 'ended by SIGKILL'), (2, 'ended with exit code 3'),
        (3, 'ValueError: ' + 'x' * (processes.MESSAGE_LIMIT - 12)), (4, 'ValueError: last')]
    assert 'Traceback' in logs[0].read_text() and 'raise ValueError' in logs[0].read_text()


def test_nothing_runs_on_when_iteration_ends(tmp_path):
    first, second = tmp_path / 'first', tmp_path / 'second'
    (tmp_path / 'logs').mkdir()
    ended, _ = start(sleep_and_write, [(first,), (second,)], tmp_path, jobs=2)

    def interrupt(sentinels):
        while not all(path.with_suffix('.begun').exists() for path in (first, second)):
            time.sleep(0.01)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, closing(ended), pytest.raises(KeyboardInterrupt):
        patch.setattr(processes, 'wait', interrupt)
        next(ended)
    assert not processes.multiprocessing.active_children()
    assert not first.exists() and not second.exists()


def say_who_and_sleep(path):
    path.write_text(str(os.getpid()))
    time.sleep(60)


def run_both(first, second):
    list(start(say_who_and_sleep, [(first,), (second,)], first.parent, jobs=2)[0])


def has_ended(pid):
    try:  # nobody may be there to collect the exit code of an orphan
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] == 'Z'
    except OSError:
        return True


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='looks into /proc')
def test_processes_end_when_the_one_that_started_them_is_killed(tmp_path):
    paths = tmp_path / 'first', tmp_path / 'second'
    parent = processes.multiprocessing.get_context('fork').Process(target=run_both, args=paths)
    parent.start()
    until(lambda: all(path.exists() and path.read_text() for path in paths))
    parent.kill()
    parent.join()
    until(lambda: all(has_ended(path.read_text()) for path in paths))


def until(is_so):
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_with_a_gpu_processes_are_interpreters_of_their_own(monkeypatch):
    assert processes.start_method() == 'fork'
    monkeypatch.setattr(processes.torch.cuda, 'is_available', lambda: True)
    assert processes.start_method() == 'spawn'
