"""A function run many times, each time in a process of its own, some at a time."""
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch

MESSAGE_LIMIT = 4000  # characters of an error; a pipe holds so many without being read
PARENT_SECONDS = 1.0  # between two looks whether the parent lives


def start_method() -> str:
    """How processes start: forked where that is safe, so that they have all imports already."""
    can_fork = 'fork' in multiprocessing.get_all_start_methods()
    # CUDA does not survive a fork of a process that has asked for it.
    return 'fork' if can_fork and not torch.cuda.is_available() else 'spawn'


def run_each(function: Callable[..., None], arguments: Sequence[tuple[Any, ...]],
             logs: Sequence[Path], jobs: int) -> Iterator[tuple[int, str | None]]:
    """Call a function with each of several arguments, in processes of their own.

    With several processes at a time each computes with one thread: more would wait for each other.
    Ctrl-C is this process's: whoever stops iterating, and closes the iterator, ends all processes.
    They also end soon after this process, if it is killed.
    To be called before anything is computed, as threads do not survive a fork.

    Args:
        function: of a module, since it may have to be imported again.
        arguments: of each call.
        logs: of each call, the file that gets all its output; the folder is made.
        jobs: processes at a time, > 0.

    Yields:
        The number of a call that has ended, and its error, None if it has none.
    """
    context = multiprocessing.get_context(start_method())
    calls = iter(enumerate(zip(arguments, logs, strict=True)))
    running = {}
    gc.freeze()  # no collection in a fork has to go through what was imported
    try:
        while True:
            for number, (values, log) in islice(calls, jobs - len(running)):
                errors, sender = context.Pipe(duplex=False)
                process = context.Process(
                    target=_call, args=(function, values, log, 1 if jobs > 1 else None, sender))
                process.start()
                sender.close()
                running[process.sentinel] = number, process, errors
            if not running:
                return
            for sentinel in wait(list(running)):
                number, process, errors = running.pop(sentinel)
                process.join()
                yield number, _error(process.exitcode, errors)
    finally:
        gc.unfreeze()
        for _, process, _ in running.values():
            process.terminate()
        for _, process, _ in running.values():
            process.join()


def _call(function: Callable[..., None], arguments: tuple[Any, ...], log: Path,
          threads: int | None, errors: Connection) -> None:
    """Call a function in a new process, which ends with 1 if it fails."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout = sys.stderr = log.open('w', buffering=1)
    for stream in (1, 2):
        os.dup2(sys.stdout.fileno(), stream)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        function(*arguments)
    except BaseException as error:
        traceback.print_exc()
        errors.send(f'{type(error).__name__}: {error}'[:MESSAGE_LIMIT])
        sys.exit(1)


def _end_with_parent() -> None:
    """End this process as soon as the one that started it is dead, even by ``kill -9``."""
    parent = multiprocessing.parent_process()
    # After a fork, processes that were started later keep the parent's sentinel open: who is the
    # parent now tells it at once. On Windows that never changes, but there is no fork either.
    while os.getppid() == parent.pid and parent.is_alive():
        time.sleep(PARENT_SECONDS)
    os._exit(1)


def _error(code: int, errors: Connection) -> str | None:
    with errors:
        if code == 0:
            return None
        if code < 0:
            return f'ended by {signal.Signals(-code).name}'
        try:
            return errors.recv()
        except EOFError:  # it ended without a word
            return f'ended with exit code {code}'
