import itertools
import multiprocessing
import os
import time

import bacl  # noqa: F401
import pytest
from bacl.compat.atomic_files import BACKEND, write_atomically
from mmengine.fileio import get_file_backend


def test_content_is_written_into_new_folders_and_nothing_else_is_left(tmp_path):
    path = tmp_path / 'new' / 'file'
    for content in (b'first', b'', b'second'):
        write_atomically(path, content)
        assert path.read_bytes() == content
        assert os.listdir(path.parent) == ['file']


def test_parts_are_one_file_and_a_failure_among_them_leaves_the_old_one(tmp_path):
    path = tmp_path / 'file'
    write_atomically(path, (part for part in (b'a', b'', b'bc')))
    assert path.read_bytes() == b'abc'
    with pytest.raises(ZeroDivisionError):
        write_atomically(path, (bytes([1 // number]) for number in (1, 0)))
    assert path.read_bytes() == b'abc' and os.listdir(tmp_path) == ['file']


def test_backend_of_mmengine_writes_through_it(tmp_path, monkeypatch):
    def fail(source, target):
        raise OSError(28, 'No space left on device')

    backend = get_file_backend(backend_args=dict(backend=BACKEND))
    backend.put(b'old', str(tmp_path / 'file'))
    monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(OSError, match='No space'):
        backend.put(b'new', str(tmp_path / 'file'))
    assert (tmp_path / 'file').read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['file']


def test_link_is_followed_and_permissions_are_those_of_a_new_file(tmp_path):
    target, plain = tmp_path / 'disk' / 'file', tmp_path / 'plain'
    write_atomically(target, b'old')
    (tmp_path / 'link').symlink_to(target)
    write_atomically(tmp_path / 'link', b'new')
    assert (tmp_path / 'link').is_symlink() and target.read_bytes() == b'new'
    plain.write_bytes(b'')
    assert target.stat().st_mode == plain.stat().st_mode


def write_for_ever(path, started):
    """Write 8 MB of one letter, then of the other one."""
    for letter in itertools.cycle(b'ab'):
        write_atomically(path, bytes([letter]) * 2**23)
        started.set()


def test_reader_finds_a_whole_file_whenever_the_writer_is_killed(tmp_path):
    path = tmp_path / 'file'
    fork = multiprocessing.get_context('fork')
    partial = 0
    for number in range(10):
        started = fork.Event()
        writer = fork.Process(target=write_for_ever, args=(path, started))
        writer.start()
        assert started.wait(60)
        time.sleep(0.006 * number)
        writer.kill()
        writer.join()
        content = path.read_bytes()
        assert len(content) == 2**23 and len(set(content)) == 1
        partial += len(os.listdir(tmp_path)) > 1
    assert partial > 0  # some of them died in the middle
