"""A job that its scheduler starts again goes on where it was, on all ranks alike."""
import json
import os
import socket
from pathlib import Path

from bacl.compat.atomic_files import write_atomically
from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner

from .launch import is_restarted
from .work_dir import find_checkpoint

# File in the work_dir: written when a job starts, not when it is started again. It names the
# torchrun agents of the job; its time tells which checkpoints are of this job.
START = 'job_start.json'

Agent = list  # host, process id, when it was started


def own_agent() -> Agent | None:
    """The torchrun agent that started this process; None without one.

    In containers, hosts and process ids repeat, so its start is part of it, in clock ticks since
    the machine was booted (0 where there is no ``/proc``).
    """
    if 'TORCHELASTIC_RUN_ID' not in os.environ:
        return None
    status = Path('/proc', str(os.getppid()), 'stat')
    # The name, in parentheses, may hold anything; the start is the 20th field behind it.
    started = int(status.read_text().rpartition(')')[2].split()[19]) if status.is_file() else 0
    return [socket.gethostname(), os.getppid(), started]


def agents_of_job(work_dir: str | Path) -> list[Agent]:
    """The torchrun agents of the job that runs, or ran last, in a work_dir."""
    try:
        return json.loads(Path(work_dir, START).read_text())['agents']
    except FileNotFoundError:
        return []


def agree_on_start(runner: Runner) -> None:
    """Start all ranks from the same checkpoint; after a restart, from the newest of the job.

    A job was restarted if Slurm or an agent of torchrun counted a restart
    (:func:`~bacl.engine.running.launch.is_restarted`), or if one of its agents started ranks
    before, as when a machine joins or leaves; agents do not tell each other. Then training goes on
    from the newest checkpoint that the job has written in the work_dir, whatever it was told to
    start from; without one it starts like the first time. Checkpoints from before the job are not
    its own.

    The main rank decides, because ranks may see different states of a shared folder. Collective:
    every rank calls it, once, when ranks are connected and nothing is loaded.

    Args:
        runner: what it resumes or loads from is set.
    """
    agent = own_agent()
    told = all_gather_object(
        (is_restarted() or (agent is not None and agent in agents_of_job(runner.work_dir)), agent))
    start = [runner._resume, runner._load_from]
    if is_main_process():
        agents = [list(a) for a in {tuple(a) for _, a in told if a is not None}]
        if any(was_restarted for was_restarted, _ in told):
            start = _newest_of_job(runner.work_dir) or start
            print_log(f'The job was restarted: it {"resumes" if start[0] else "starts"} from '
                      f'{start[1] or "the beginning"}.', logger='current')
            _record(runner.work_dir, agents, is_first=False)
        else:
            _record(runner.work_dir, agents, is_first=True)
    broadcast_object_list(start)
    runner._resume, runner._load_from = start


def _newest_of_job(work_dir: str) -> list | None:
    found, started = find_checkpoint(work_dir), Path(work_dir, START)
    is_own = found is not None and started.is_file() and \
        found.stat().st_mtime_ns >= started.stat().st_mtime_ns
    return [True, str(found)] if is_own else None


def _record(work_dir: str, agents: list[Agent], is_first: bool) -> None:
    path = Path(work_dir, START)
    time = None if is_first or not path.is_file() else path.stat().st_mtime_ns
    write_atomically(path, json.dumps(dict(agents=agents)).encode())
    if time is not None:
        os.utime(path, ns=(time, time))
