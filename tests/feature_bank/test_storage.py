import errno
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from bacl.feature_bank import storage
from bacl.feature_bank.storage import (
    RECORD,
    RESERVE,
    FeatureBankError,
    FeatureTable,
    FeatureWriter,
    read_meta,
    write_meta,
)

SIZES = dict(proposals=3, gts=2, ignored=1, jittered=4, draws=2)  # 14 rows
USAGE = namedtuple('usage', 'total used free')


def batch(*img_ids):
    records = np.zeros(len(img_ids), RECORD)
    records['img_id'] = img_ids
    for name, size in SIZES.items():
        records[name] = size
    rng = np.random.default_rng(img_ids)
    return records, dict(feats=rng.random((14 * len(img_ids), 5)),
                         boxes=rng.random((14 * len(img_ids), 4)),
                         labels=rng.integers(9, size=14 * len(img_ids)))


def make_bank(root, *batches, complete=True):
    writer = FeatureWriter(root / 'train', 5, 'float32')
    for records, rows in batches:
        writer.append(records, **rows)
    write_meta(root, dict(format=storage.FORMAT, complete=complete, splits=['train'], num_feats=5,
                          dtype='float32', command='python build.py'))
    return writer


def test_what_was_written_is_read_by_image(tmp_path):
    batches = [batch(8, 2), batch(), batch(2, 5)]
    make_bank(tmp_path, *batches)
    table = FeatureTable(tmp_path, 'train')
    assert [len(table.views(img_id)) for img_id in (2, 5, 8, 7)] == [2, 1, 1, 0]
    assert table.views(2)['first_row'].tolist() == [14, 28]
    start = int(table.views(5)[0]['first_row'])
    rows = np.array([start + 13, start])
    assert (table.feats(rows) == batches[2][1]['feats'][[27, 14]].astype(np.float32)).all()
    assert (table.boxes(start, start + 2) == batches[2][1]['boxes'][14:16].astype('f4')).all()
    assert (table.labels(start, start + 2) == batches[2][1]['labels'][14:16]).all()


@pytest.mark.parametrize('name', ['feats', 'boxes', 'labels', 'images', 'batches'])
def test_a_kill_at_any_place_leaves_the_batches_before(name, tmp_path):
    make_bank(tmp_path / 'whole', batch(1, 2), batch(3))
    make_bank(tmp_path / 'killed', batch(1, 2))
    files = ('feats', 'boxes', 'labels', 'images', 'batches')  # in the order of writing
    for file in files[:files.index(name) + 1]:
        whole = (tmp_path / 'whole/train' / f'{file}.bin').read_bytes()
        path = tmp_path / 'killed/train' / f'{file}.bin'
        end = len(whole) if file != name else len(whole) - 3
        path.write_bytes(whole[:end])
    writer = FeatureWriter(tmp_path / 'killed/train', 5, 'float32')
    assert (writer.num_batches, writer.num_records, writer.num_rows) == (1, 2, 28)
    records, rows = batch(3)
    writer.append(records, **rows)
    for file in files:
        assert (tmp_path / 'killed/train' / f'{file}.bin').read_bytes() == \
            (tmp_path / 'whole/train' / f'{file}.bin').read_bytes()


def test_a_half_written_bank_is_refused(tmp_path):
    make_bank(tmp_path, batch(1), complete=False)
    with pytest.raises(FeatureBankError, match='half-written.*python build.py'):
        FeatureTable(tmp_path, 'train')


def test_files_that_lack_rows_are_refused(tmp_path):
    make_bank(tmp_path, batch(1))
    path = tmp_path / 'train/feats.bin'
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FeatureBankError, match='feats.bin has 279 bytes, 280'):
        FeatureTable(tmp_path, 'train')
    (tmp_path / 'train/boxes.bin').write_bytes(b'')
    with pytest.raises(FeatureBankError, match='build the bank anew'):
        FeatureWriter(tmp_path / 'train', 5, 'float32')


def test_folders_without_a_bank_of_this_format_are_refused(tmp_path):
    with pytest.raises(FeatureBankError, match='build_feature_bank.py'):
        read_meta(tmp_path)
    write_meta(tmp_path, dict(format=0, complete=True))
    with pytest.raises(FeatureBankError, match='format 0, 1 is expected'):
        read_meta(tmp_path)
    (tmp_path / 'meta.json').write_text('{')
    with pytest.raises(FeatureBankError, match='damaged'):
        read_meta(tmp_path)


def test_a_full_disk_is_refused_before_it_is_full(tmp_path, monkeypatch):
    writer = make_bank(tmp_path, batch(1))
    records, rows = batch(2)
    needed = 14 * writer.row_bytes + records.nbytes
    for free, fits in ((RESERVE + needed, True), (RESERVE + needed - 1, False)):
        monkeypatch.setattr(shutil, 'disk_usage', lambda path, free=free: USAGE(0, 0, free))
        if fits:
            writer.append(*[records], **rows)
            continue
        with pytest.raises(FeatureBankError, match='No room.*--negatives'):
            writer.append(records, **rows)
    assert FeatureWriter(tmp_path / 'train', 5, 'float32').num_records == 2


def test_a_disk_that_fills_up_meanwhile_leaves_what_was_complete(tmp_path, monkeypatch):
    writer = make_bank(tmp_path, batch(1))
    append = writer._append

    def fail_at_labels(name, array):
        if name == 'labels':
            raise OSError(errno.ENOSPC, 'No space left on device')
        append(name, array)

    monkeypatch.setattr(writer, '_append', fail_at_labels)
    records, rows = batch(2)
    with pytest.raises(FeatureBankError, match='No room'):
        writer.append(records, **rows)
    assert FeatureWriter(tmp_path / 'train', 5, 'float32').num_rows == 14
    assert FeatureTable(tmp_path, 'train').feats(np.arange(14)).shape == (14, 5)


@pytest.mark.skipif(not Path('/proc/self/smaps').exists(), reason='needs /proc')
def test_the_process_holds_a_bounded_part_of_the_bank(tmp_path, monkeypatch):
    make_bank(tmp_path, *(batch(*range(1000 * n, 1000 * n + 1000)) for n in range(10)))
    monkeypatch.setattr(storage, 'MAPPED_BYTES', 2**20)
    table = FeatureTable(tmp_path, 'train')
    assert table._feats.nbytes > 2.5e6

    def mapped_kilobytes():
        regions = Path('/proc/self/smaps').read_text()
        part = regions.partition(str(tmp_path / 'train/feats.bin'))[2]
        return int(part.partition('Rss:')[2].split()[0])

    held = []
    for start in range(0, 140_000, 10_000):
        for first in range(start, start + 10_000, 100):
            table.feats(np.arange(first, first + 100))
        held.append(mapped_kilobytes())
    assert max(held) < 1500
