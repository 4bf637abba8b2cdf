"""One run in a work_dir at a time."""
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from bacl.compat.atomic_files import write_atomically
from filelock import FileLock, Timeout
from mmengine.logging import print_log

from .restart import agents_of_job, own_agent

LOCK = 'run.lock'
NOTE = 'run.json'  # a file of its own, since on Windows nobody else can read a locked one


@contextmanager
def lock_work_dir(work_dir: str, argument: str = '--work-dir') -> Iterator[None]:
    """Keep other runs out of a work_dir while the context lasts.

    The operating system holds the lock for this process, not for the loader's processes, and drops
    it however the process ends: after ``kill -9`` the next run starts at once. A note beside it
    says who has it. That is what decides if the note comes from another host, whose locks the file
    system may not show: such a run counts as going on, unless it is the same Slurm job or torchrun
    job (``--rdzv-id``, or an agent of it), which was restarted elsewhere. After a run the note is
    gone; also after SIGTERM, which schedulers send. The lock's file may stay.

    Of a run with several processes, only the main one takes the lock.

    Args:
        work_dir: an existing folder.
        argument: of the command line that names the folder, for messages.

    Raises:
        RuntimeError: if another run has the folder; says which, and what to do.
    """
    note = Path(work_dir, NOTE)
    lock = FileLock(Path(work_dir, LOCK))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise RuntimeError(
            f'{argument} expects a folder without a run in it, got {work_dir!r}, which '
            f'{_describe(_read(note))} is using. Wait for it, end it, or choose another '
            f'{argument}.') from None
    except (OSError, NotImplementedError) as error:
        print_log(f'{lock.lock_file} cannot be locked ({error}): another run in this folder would '
                  'not be noticed.', logger='current', level=logging.WARNING)
    try:
        _refuse_other_host(_read(note), work_dir, note, argument)
        write_atomically(note, json.dumps(_own_note()).encode())
        try:
            with _on_sigterm(lambda: note.unlink(missing_ok=True)):
                yield
        finally:
            note.unlink(missing_ok=True)
    finally:
        lock.release()


@contextmanager
def _on_sigterm(clean_up: Callable[[], None]) -> Iterator[None]:
    """Do something before SIGTERM ends the process."""
    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:  # a process that was forked from it has the handler, too
            clean_up()
        signal.signal(number, before)
        os.kill(os.getpid(), number)

    owner = os.getpid()
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _own_note() -> dict[str, str | int | None]:
    return dict(host=socket.gethostname(), pid=os.getpid(), job=_job(),
                since=time.strftime('%Y-%m-%d %H:%M:%S'))


def _job() -> str | None:
    """The name of this job with its scheduler, the same after a restart; None without one."""
    if 'SLURM_JOB_ID' in os.environ:
        return f'slurm {os.environ["SLURM_JOB_ID"]}'
    run_id = os.environ.get('TORCHELASTIC_RUN_ID', 'none')  # `none` unless the user names it
    return None if run_id == 'none' else f'torchrun {run_id}'


def _refuse_other_host(note: dict | None, work_dir: str, path: Path, argument: str) -> None:
    if note is None or note['host'] == socket.gethostname():
        return
    if note['job'] is not None and note['job'] == _job() or own_agent() in agents_of_job(work_dir):
        return
    raise RuntimeError(
        f'{argument} expects a folder without a run in it, got {work_dir!r}, which '
        f'{_describe(note)} is using or did not leave properly. If it has ended, remove {path} and '
        f'start again; else choose another {argument}.')


def _describe(note: dict | None) -> str:
    if note is None:  # not written yet
        return 'another process'
    return f'process {note["pid"]} on {note["host"]} (since {note["since"]})'


def _read(path: Path) -> dict | None:
    """The note; None if there is none, or one that was not written here."""
    try:
        note = json.loads(path.read_bytes())
        return note if note.keys() >= _own_note().keys() else None
    except (OSError, ValueError, AttributeError):
        return None
