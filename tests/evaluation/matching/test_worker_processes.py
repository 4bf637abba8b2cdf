import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bacl
import numpy as np
import pytest
from bacl.evaluation.matching import (
    Matching,
    default_num_workers,
    precision_by_processes,
)
from bacl.evaluation.matching.worker_processes import category_chunks, work
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def temporary_files(tmp_path, monkeypatch):
    """The folder that takes the place of the system's for temporary files."""
    folder = tmp_path / 'temporary'
    folder.mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(folder))
    return folder


@pytest.fixture
def replace_workers(tmp_path, monkeypatch):
    """A function that lets a shell script take the place of Python in workers."""

    def replace(script):
        path = tmp_path / 'worker.sh'
        path.write_text(f'#!/bin/sh\n{script}\n')
        path.chmod(0o755)
        monkeypatch.setattr(sys, 'executable', str(path))

    return replace


@pytest.mark.dist
@pytest.mark.parametrize('with_masks', [False, True])
def test_workers_and_chunks_change_no_bit(make_matching, temporary_files, with_masks):
    matching = make_matching(4, with_masks)
    expected = np.full((10, 101, 9, 4), np.nan)
    for category in np.flatnonzero(matching.num_records()):
        expected[:, :, category] = matching.precision(category)
    assert 0 < np.nanmean(expected) < 1 and np.isnan(expected[:, :, [1, 4]]).all()
    for num_workers, chunk_size in ((0, 1), (1, 50), (2, 1), (2, 10_000), (3, 60)):
        found = precision_by_processes(matching, num_workers, chunk_size)
        np.testing.assert_array_equal(found, expected)
        assert list(temporary_files.iterdir()) == []


def test_no_category_with_objects_means_no_worker(make_matching, replace_workers):
    replace_workers('exit 3')
    matching = make_matching(0)
    empty = Matching({name: column[:0] for name, column in matching.objects.items()},
                     np.zeros(10, dtype=int), matching.detections, matching.detection_offsets, 100)
    assert np.isnan(precision_by_processes(empty, 2)).all()


def test_work_leaves_the_chunks_that_another_has_taken(make_matching, tmp_path):
    matching = make_matching(5)
    matching.save(tmp_path)
    for index, chunk in enumerate(([0, 2], [3], [5])):
        np.save(tmp_path / f'chunk_{index}.npy', np.array(chunk))
    (tmp_path / 'taken_1').touch()
    work(tmp_path)
    assert sorted(path.name for path in tmp_path.glob('precision_*')) == \
        ['precision_0.npy', 'precision_2.npy']
    np.testing.assert_array_equal(np.load(tmp_path / 'precision_0.npy')[:, :, 1],
                                  matching.precision(2))


@given(st.lists(st.integers(0, 30), max_size=30), st.integers(1, 40))
def test_chunks_hold_each_category_with_objects_once_and_are_no_larger_than_asked_for(
        num_records, chunk_size):
    num_records = np.array(num_records, dtype=int)
    chunks = category_chunks(num_records, chunk_size)
    categories = [category for chunk in chunks for category in chunk.tolist()]
    assert sorted(categories) == np.flatnonzero(num_records).tolist()
    assert sorted(num_records[categories], reverse=True) == num_records[categories].tolist()
    for chunk in chunks:
        # Without its last category it is below the size.
        assert len(chunk) > 0 and num_records[chunk[:-1]].sum() < chunk_size
    assert len(chunks) <= num_records.sum() / chunk_size + 1


@pytest.mark.parametrize('cores, num_records, expected', [
    (2, 0, 0), (2, 99_999, 0), (2, 100_000, 2), (2, 10**7, 2), (1, 10**7, 0), (8, 250_000, 5),
    (64, 10**7, 16)])
def test_small_work_starts_no_workers(monkeypatch, cores, num_records, expected):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(cores)))
    assert default_num_workers(num_records) == expected


def test_cores_are_counted_where_affinity_is_unknown(monkeypatch):
    monkeypatch.delattr(os, 'sched_getaffinity')
    monkeypatch.setattr(os, 'cpu_count', lambda: 3)
    assert default_num_workers(10**7) == 3


@pytest.mark.dist
def test_worker_imports_neither_torch_nor_the_rest_of_the_package():
    folder = Path(bacl.__file__).parent / 'evaluation'
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    process = subprocess.run(
        [sys.executable, '-c', 'import matching.worker_processes, sys; print(*sys.modules)'],
        env=dict(os.environ, PYTHONPATH=path), capture_output=True, text=True, check=True)
    imported = set(process.stdout.split())
    assert 'matching' in imported
    assert not {'torch', 'mmengine', 'mmdet', 'mmcv', 'bacl'} & imported


def test_killed_worker_is_named_and_ends_the_others(make_matching, replace_workers,
                                                    temporary_files):
    # The first to come waits for what never happens, the second is killed.
    replace_workers('if mkdir first; then echo $$ > "$PID_FILE"; exec sleep 100; '
                    'else while [ ! -s "$PID_FILE" ]; do sleep 0.01; done; kill -9 $$; fi')
    pid_file = temporary_files.parent / 'pid'
    os.environ['PID_FILE'] = str(pid_file)
    start = time.monotonic()
    try:
        with pytest.raises(RuntimeError, match=r'ended by signal 9\. .*memory.*below 2'):
            precision_by_processes(make_matching(0), 2, chunk_size=1)
    finally:
        del os.environ['PID_FILE']
    assert time.monotonic() - start < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    assert list(temporary_files.iterdir()) == []


def test_failing_worker_is_quoted(make_matching, replace_workers, temporary_files):
    replace_workers('echo cannot map the file >&2; exit 3')
    with pytest.raises(RuntimeError, match=r'failed \(exit status 3\): cannot map the file'):
        precision_by_processes(make_matching(0), 2, chunk_size=1)
    assert list(temporary_files.iterdir()) == []
