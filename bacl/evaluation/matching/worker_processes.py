"""Precision of all categories, computed by several processes at once.

Why processes, and started like this: most of the time goes into Python objects for the engine, so
that threads wait for each other; a fork of a process with threads or CUDA is unsafe; and
multiprocessing's other start methods import the main script again, with torch and mmdet.
"""
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from .matching import NUM_AREAS, NUM_IOUS, NUM_RECALLS, Matching

# A worker starts in 0.2 s, in which one process evaluates about 20,000 boxes.
_RECORDS_PER_WORKER = 50_000
_MAX_WORKERS = 16
# Categories are handed out in chunks of so many objects and detections, a few tenths of a second.
_RECORDS_PER_CHUNK = 20_000
_POLL_SECONDS = 0.02


def default_num_workers(num_records: int) -> int:
    """One worker for each core, at most 16, and none where starting takes longer than it saves.

    Args:
        num_records: objects and detections to be matched.

    Returns:
        0, for this process alone, or at least 2.
    """
    try:
        num_cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        num_cores = os.cpu_count() or 1
    num_workers = min(num_cores, _MAX_WORKERS, num_records // _RECORDS_PER_WORKER)
    return num_workers if num_workers > 1 else 0


def precision_by_processes(matching: Matching, num_workers: int,
                           chunk_size: int = _RECORDS_PER_CHUNK) -> np.ndarray:
    """Interpolated precision of every category.

    Categories are evaluated one at a time, so neither argument changes the result. Each process
    holds the Python objects of one category, about 1.5 kB for each object and detection; the arrays
    of ``matching`` are shared through files in the system's temporary folder.

    Args:
        matching: ground truth and detections of C categories.
        num_workers: processes to start; with 0 or 1 this process does the work.
        chunk_size: objects and detections, about, that a worker takes at once.

    Returns:
        (10, 101, C, 4); see :meth:`.matching.Matching.precision`. NaN for a category without
        objects.

    Raises:
        RuntimeError: if a worker fails or is killed.
    """
    num_records = matching.num_records()
    precision = np.full((NUM_IOUS, NUM_RECALLS, len(num_records), NUM_AREAS), np.nan)
    if num_workers <= 1:
        for category in np.flatnonzero(num_records):
            precision[:, :, category] = matching.precision(category)
        return precision
    with tempfile.TemporaryDirectory(prefix='bacl_matching_') as name:
        folder = Path(name)
        matching.save(folder)
        chunks = category_chunks(num_records, chunk_size)
        for index, chunk in enumerate(chunks):
            np.save(folder / f'chunk_{index}.npy', chunk)
        _run_workers(folder, min(num_workers, len(chunks)))
        for index, chunk in enumerate(chunks):
            precision[:, :, chunk] = np.load(folder / f'precision_{index}.npy')
    return precision


def category_chunks(num_records: np.ndarray, chunk_size: int) -> list[np.ndarray]:
    """Groups of categories of similar size, the largest first, so that workers end together.

    Args:
        num_records: (C,), of each category; those with 0 are left out.
        chunk_size: a chunk ends with the category that makes it so large.

    Returns:
        Category indices of each chunk.
    """
    order = np.argsort(-num_records, kind='stable')
    order = order[num_records[order] > 0]
    before = np.cumsum(num_records[order]) - num_records[order]
    # Cut where the running sum enters the next multiple of the size.
    return [chunk for chunk in np.split(order, np.flatnonzero(np.diff(before // chunk_size)) + 1)
            if len(chunk)]


def work(folder: Path) -> None:
    """What a worker does: evaluate chunks that no other worker has taken, until there are none.

    Args:
        folder: with what :func:`precision_by_processes` put there.
    """
    matching = Matching.load(folder)
    for index in range(len(list(folder.glob('chunk_*.npy')))):
        try:
            (folder / f'taken_{index}').touch(exist_ok=False)
        except FileExistsError:
            continue
        chunk = np.load(folder / f'chunk_{index}.npy')
        precision = np.stack([matching.precision(category) for category in chunk], axis=2)
        np.save(folder / f'precision_{index}.npy', precision)


def _run_workers(folder: Path, num_workers: int) -> None:
    """Run workers until all have ended, or until one has failed."""
    package = Path(__file__).parent
    # They find the packages that this process finds, wherever its path comes from.
    path = [str(package.parent), *(os.path.abspath(entry) for entry in sys.path if entry)]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path), OMP_NUM_THREADS='1',
                       OPENBLAS_NUM_THREADS='1', MKL_NUM_THREADS='1')
    log_path = folder / 'workers.log'
    workers = []
    try:
        with log_path.open('w') as log:
            for _ in range(num_workers):
                workers.append(subprocess.Popen(
                    [sys.executable, '-m', package.name, str(folder)], cwd=folder,
                    env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        while any(worker.poll() is None for worker in workers):
            _check(workers, log_path)
            time.sleep(_POLL_SECONDS)
        _check(workers, log_path)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def _check(workers: list[subprocess.Popen], log_path: Path) -> None:
    for worker in workers:
        code = worker.poll()
        if code is not None and code < 0:
            raise RuntimeError(
                f'A worker process of the evaluation was ended by signal {-code}. The system sends '
                f'9 when memory runs out: set num_workers below {len(workers)}, or to 0.')
        if code:
            raise RuntimeError(f'A worker process of the evaluation failed (exit status {code}): '
                               f'{log_path.read_text(errors="replace")[-2000:]}')
