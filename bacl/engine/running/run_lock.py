"""One run in a work_dir at a time."""
import errno
import fcntl
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
from typing import IO

from mmengine.logging import print_log

from .restart import agents_of_job, own_agent

LOCK = 'run.lock'


@contextmanager
def lock_work_dir(work_dir: str) -> Iterator[None]:
    """Keep other runs out of a work_dir while the context lasts.

    The operating system holds the lock for this process, not for the loader's processes, and drops
    it however the process ends: after ``kill -9`` the next run starts at once. The file also says
    who has it. That is what decides if the note comes from another host, whose locks the file
    system may not show: such a run counts as going on, unless it is the same Slurm job or torchrun
    job (``--rdzv-id``, or an agent of it), which was restarted elsewhere. After a run the file
    stays, empty; also after SIGTERM, which schedulers send.

    Of a run with several processes, only the main one takes the lock.

    Args:
        work_dir: an existing folder.

    Raises:
        RuntimeError: if another run has the folder; says which, and what to do.
    """
    path = Path(work_dir, LOCK)
    with path.open('a+') as file:  # not truncated: the note of the other run is in it
        if not _lock(file):
            raise RuntimeError(
                f'--work-dir expects a folder without a run in it, got {work_dir!r}, which '
                f'{_describe(_read(file))} is using. Wait for it, end it, or choose another '
                '--work-dir.')
        _refuse_other_host(_read(file), work_dir, path)
        _write(file, json.dumps(_own_note()))
        try:
            with _on_sigterm(lambda: _write(file, '')):
                yield
        finally:
            _write(file, '')


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


def _lock(file: IO[str]) -> bool:
    """Try to lock; True where the file system has no locks, with a warning."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        print_log(f'{file.name} cannot be locked ({error.strerror}): another run in this folder '
                  'would not be noticed.', logger='current', level=logging.WARNING)
    return True


def _own_note() -> dict[str, str | int | None]:
    return dict(host=socket.gethostname(), pid=os.getpid(), job=_job(),
                since=time.strftime('%Y-%m-%d %H:%M:%S'))


def _job() -> str | None:
    """What a scheduler calls this job, the same after a restart; None without one."""
    if 'SLURM_JOB_ID' in os.environ:
        return f'slurm {os.environ["SLURM_JOB_ID"]}'
    run_id = os.environ.get('TORCHELASTIC_RUN_ID', 'none')  # `none` unless the user names it
    return None if run_id == 'none' else f'torchrun {run_id}'


def _refuse_other_host(note: dict | None, work_dir: str, path: Path) -> None:
    if note is None or note['host'] == socket.gethostname():
        return
    if note['job'] is not None and note['job'] == _job() or own_agent() in agents_of_job(work_dir):
        return
    raise RuntimeError(
        f'--work-dir expects a folder without a run in it, got {work_dir!r}, which '
        f'{_describe(note)} is using or did not leave properly. If it has ended, remove {path} and '
        'start again; else choose another --work-dir.')


def _describe(note: dict | None) -> str:
    if note is None:  # not written yet
        return 'another process'
    return f'process {note["pid"]} on {note["host"]} (since {note["since"]})'


def _read(file: IO[str]) -> dict | None:
    """The note in a lock file; None if there is none, or only half of one."""
    file.seek(0)
    try:
        note = json.load(file)
        return note if note.keys() >= _own_note().keys() else None
    except (ValueError, AttributeError):
        return None


def _write(file: IO[str], note: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(note)
    file.flush()
