"""A fork of the warm interpreter is to a tool what an interpreter of its own is."""
import json
import os
import signal
import subprocess
import sys

import bacl
import pytest

REPORT = '''
import importlib.util, json, os, sys
os.environ.pop('LC_CTYPE', None)  # an interpreter may set it when it starts
print(json.dumps(dict(
    name=__name__, argv=sys.argv, path=sys.path, cwd=os.getcwd(), environment=dict(os.environ),
    package=importlib.util.find_spec('bacl').origin, stdin=sys.stdin.read(),
    is_leader=os.getsid(0) == os.getpid())))
'''


@pytest.fixture
def place(tmp_path):
    """Environment and folder of a script that reports what it sees, also as a module."""
    (tmp_path / 'scripts').mkdir()
    (tmp_path / 'scripts/report.py').write_text(REPORT)
    (tmp_path / 'a_module.py').write_text(REPORT)
    environment = {'PATH': os.environ['PATH'], 'PYTHONPATH': os.pathsep.join(
        [os.path.dirname(os.path.dirname(bacl.__file__)), str(tmp_path / 'more')]),
        'OMP_NUM_THREADS': '1', 'HERE': 'a b'}
    return dict(env=environment, cwd=tmp_path)


@pytest.mark.parametrize('argv', [['scripts/report.py', '--x', 'y'], ['-m', 'a_module', 'y'],
                                  ['-c', REPORT, 'y']], ids=['script', 'module', 'code'])
def test_a_program_sees_what_it_sees_in_an_interpreter_of_its_own(warm_python, place, argv):
    done = warm_python.run(argv, **place)
    ours = json.loads(done.stdout)
    theirs = json.loads(subprocess.run([sys.executable, *argv], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, start_new_session=True,
                                       **place).stdout)
    assert ours == theirs and ours['is_leader']


@pytest.mark.parametrize('code, expected', [
    ('print(1)', 0), ('raise SystemExit(3)', 3), ('raise SystemExit("why")', 1), ('1 / 0', 1),
    ('import os; os.kill(os.getpid(), 9)', -9), ('raise KeyboardInterrupt', -signal.SIGINT)])
def test_exit_codes_are_those_of_an_interpreter(warm_python, code, expected):
    done = warm_python.run(['-c', code])
    assert done.returncode == expected
    assert 'why' in done.stdout if 'why' in code else True


def test_threads_end_and_exit_functions_run_before_the_end(warm_python):
    done = warm_python.run(['-c', '\n'.join([
        'import atexit, threading, time',
        'atexit.register(print, "last")',
        'threading.Thread(target=lambda: (time.sleep(0.1), print("thread"))).start()'])])
    assert done.stdout.split() == ['thread', 'last']


def test_a_running_process_can_be_read_signalled_and_waited_for(warm_python):
    code = 'import signal; print("ready", flush=True); signal.pause()'
    for stop, expected in (('terminate', -signal.SIGTERM), ('kill', -signal.SIGKILL)):
        process = warm_python.start(['-c', code])
        assert process.stdout.readline() == 'ready\n' and process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=0.1)
        getattr(process, stop)()
        assert process.wait(10) == process.poll() == expected
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, 0)


def test_ranks_form_a_group_and_the_first_failure_is_the_exit_code(warm_python):
    code = '\n'.join([
        'import sys, torch, torch.distributed as dist', 'dist.init_process_group("gloo")',
        'total = torch.ones(1)', 'dist.all_reduce(total)', 'rank = dist.get_rank()',
        'sys.stdout.write(f"{rank}: {total.item()}\\n")', 'dist.destroy_process_group()',
        'sys.exit(4 * rank)'])
    done = warm_python.run(['-c', code], ranks=2, timeout=120)
    assert sorted(done.stdout.splitlines()) == ['0: 2.0', '1: 2.0']
    assert done.returncode == 4


def test_random_numbers_of_two_processes_differ(warm_python):
    code = 'import random, numpy; print(random.random(), numpy.random.rand())'
    first, second = (warm_python.run(['-c', code]).stdout.split() for _ in range(2))
    assert first[0] != second[0] and first[1] != second[1]
