"""The files of a feature bank.

A bank is a folder with ``meta.json`` and a folder for each split, which holds arrays without
headers, so that they grow batch by batch and a half-written end can be cut off:

- ``images.bin``: a record (:data:`RECORD`) for each view of an image. It is written last, so what
  it lists is complete.
- ``feats.bin`` (R, D), ``boxes.bin`` (R, 4) and ``labels.bin`` (R,): the inputs of the classifier,
  boxes (x1, y1, x2, y2) in pixels of the network's input, and labels, -1 for a proposal. The rows
  of a view follow each other: proposals, ground truth, ignored ground truth, and for each draw the
  jittered boxes of all ground truth.

R: rows of a split. D: inputs of the classifier.
"""
import errno
import json
import mmap
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from bacl.compat.atomic_files import write_atomically

FORMAT = 1  # of the files; another one is refused

RECORD = np.dtype([
    ('img_id', '<i8'), ('view', '<i4'), ('flip', '?'),
    ('img_shape', '<i4', 2), ('ori_shape', '<i4', 2),  # (H, W)
    ('scale_factor', '<f8', 2),  # (w, h); NaN if the pipeline does not resize
    ('first_row', '<i8'), ('proposals', '<i4'), ('gts', '<i4'), ('ignored', '<i4'),
    ('jittered', '<i4'),  # boxes of a draw
    ('draws', '<i4'),
])
MAPPED_BYTES = 256 * 2**20  # that a table lets the process hold


class FeatureBankError(ValueError):
    """A bank that is not there, not whole, or not one of what it is used for."""


def write_meta(root: Path, meta: dict[str, Any]) -> None:
    """Write ``meta.json``, as a whole or not at all."""
    write_atomically(root / 'meta.json', json.dumps(meta, indent=1).encode())


def read_meta(root: str | Path, only_complete: bool = True) -> dict[str, Any]:
    """Read ``meta.json`` of a bank.

    Args:
        root: folder of the bank.
        only_complete: whether to refuse a bank whose building has not ended.

    Raises:
        FeatureBankError: if there is no bank, of this format, or if it is half-written.
    """
    path = Path(root) / 'meta.json'
    try:
        meta = json.loads(path.read_text())
    except FileNotFoundError:
        raise FeatureBankError(
            f'--feature-bank expects the folder of a bank, got {str(root)!r} without meta.json. '
            'Build it: python tools/build_feature_bank.py CONFIG CHECKPOINT '
            f'--out {root}.') from None
    except ValueError as error:
        raise FeatureBankError(f'{path} is damaged ({error}). Delete {root} and build the bank '
                               'anew.') from error
    if meta.get('format') != FORMAT:
        raise FeatureBankError(f'{path} has format {meta.get("format")}, {FORMAT} is expected. '
                               f'Delete {root} and build the bank anew.')
    if only_complete and not meta['complete']:
        raise FeatureBankError(f'The bank {root} is half-written: its building was interrupted. '
                               'Go on with it by the same command: ' + meta['command'])
    return meta


class FeatureWriter:
    """Appends views of images to a split, batch by batch; what a kill left half-written is cut off.

    Args:
        folder: of the split; made if there is none.
        num_feats: D.
        dtype: of the features, 'float16' or 'float32'.

    Attributes:
        num_records: views of images that are complete.
        num_batches: batches that are complete.
        num_rows: R.
    """

    def __init__(self, folder: Path, num_feats: int, dtype: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.row_types = dict(feats=np.dtype((dtype, num_feats)), boxes=np.dtype(('<f4', 4)),
                              labels=np.dtype('<i4'))
        self.num_batches = self._whole_items('batches', np.dtype('<i8'))
        ends = np.fromfile(folder / 'batches.bin', '<i8', self.num_batches)
        self.num_records = int(ends[-1]) if len(ends) else 0
        self._cut('images', self.num_records * RECORD.itemsize)
        records = np.fromfile(folder / 'images.bin', RECORD)
        self.num_rows = next_row(records[-1]) if len(records) else 0
        for name, row in self.row_types.items():
            self._cut(name, self.num_rows * row.itemsize)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in all files."""
        return sum(row.itemsize for row in self.row_types.values())

    def append(self, records: np.ndarray, **rows: np.ndarray) -> None:
        """Add the views of a batch; their ``first_row`` is set here.

        Args:
            records: of :data:`RECORD`, maybe none.
            **rows: ``feats``, ``boxes`` and ``labels`` of all of them.

        Raises:
            FeatureBankError: if there is no room. What was complete stays so.
        """
        num_rows = row_counts(records)
        records['first_row'] = self.num_rows + np.cumsum(num_rows) - num_rows
        require_room(self.folder, int(num_rows.sum()) * self.row_bytes + records.nbytes)
        try:
            for name, row in self.row_types.items():
                self._append(name, np.ascontiguousarray(rows[name], row.base))
            self._append('images', records)
            self._append('batches', np.array([self.num_records + len(records)], '<i8'))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise FeatureBankError(no_room(self.folder)) from error
        self.num_rows += int(num_rows.sum())
        self.num_records += len(records)
        self.num_batches += 1

    def _path(self, name: str) -> Path:
        return self.folder / f'{name}.bin'

    def _append(self, name: str, array: np.ndarray) -> None:
        with self._path(name).open('ab') as file:
            file.write(array.data)

    def _cut(self, name: str, size: int) -> None:
        with self._path(name).open('ab') as file:
            if file.tell() < size:
                raise FeatureBankError(f'{self._path(name)} is shorter than images.bin says: '
                                       f'delete {self.folder.parent} and build the bank anew.')
            file.truncate(size)

    def _whole_items(self, name: str, item: np.dtype) -> int:
        with self._path(name).open('ab') as file:
            number = file.tell() // item.itemsize
            file.truncate(number * item.itemsize)
        return number


def row_counts(records: np.ndarray) -> np.ndarray:
    """Rows of each record."""
    return records['proposals'].astype(np.int64) + records['gts'] + records['ignored'] + \
        records['jittered'].astype(np.int64) * records['draws']


def next_row(record: np.void) -> int:
    """Number of the row behind those of a record."""
    return int(record['first_row'] + row_counts(record))


RESERVE = 256 * 2**20  # bytes that a bank leaves on the disk


def require_room(folder: Path, num_bytes: int) -> None:
    """Refuse to write what would fill the disk.

    Raises:
        FeatureBankError: if less than :data:`RESERVE` would be left.
    """
    if shutil.disk_usage(folder).free < num_bytes + RESERVE:
        raise FeatureBankError(no_room(folder, num_bytes))


def no_room(folder: Path, num_bytes: int = 0) -> str:
    """The message of a full disk."""
    free = shutil.disk_usage(folder).free
    return (f'No room for the bank in {folder}: {as_size(num_bytes)} to be written, '
            f'{as_size(free)} free, of which {as_size(RESERVE)} stay free. Make room and run the '
            'same command again, which goes on where it was; or choose another --out, fewer '
            '--views or --jitters, or --negatives.')


def as_size(num_bytes: float) -> str:
    """A size for people, as '234 MB'."""
    return f'{num_bytes / 1e9:.1f} GB' if num_bytes >= 1e9 else f'{num_bytes / 1e6:.0f} MB'


class FeatureTable:
    """The rows of a split, read from the disk as they are asked for.

    The process holds about :data:`MAPPED_BYTES` of the files, whatever the size of the bank: pages
    that were read stay with the operating system, which gives them up when it needs to.

    Args:
        root: folder of the bank.
        split: 'train', 'val' or 'test'.

    Attributes:
        records: (I,), of :data:`RECORD`, sorted by ``img_id``.

    Raises:
        FeatureBankError: if the bank is not whole, or has no such split.
    """

    def __init__(self, root: str | Path, split: str) -> None:
        meta, folder = read_meta(root), Path(root) / split
        if split not in meta['splits']:
            raise FeatureBankError(f'The bank {root} has no split {split!r}, it has '
                                   f'{", ".join(meta["splits"])}.')
        records = np.fromfile(folder / 'images.bin', RECORD)
        num_rows = next_row(records[-1]) if len(records) else 0
        self.records = records[np.argsort(records['img_id'], kind='stable')]
        self._image_ids = np.ascontiguousarray(self.records['img_id'])
        self._maps: list[mmap.mmap] = []
        self._touched = 0
        self._feats, self._boxes, self._labels = (
            self._open(folder / f'{name}.bin', np.dtype(kind), (num_rows, *shape))
            for name, kind, shape in (('feats', meta['dtype'], (meta['num_feats'],)),
                                      ('boxes', '<f4', (4,)), ('labels', '<i4', ())))

    def views(self, img_id: int) -> np.ndarray:
        """The records of the views of an image; none if the pipeline left it out."""
        first, end = np.searchsorted(self._image_ids, [img_id, img_id + 1])
        return self.records[first:end]

    def boxes(self, first: int, end: int) -> np.ndarray:
        """Boxes (N, 4) of consecutive rows, copied."""
        return self._boxes[first:end].copy()

    def labels(self, first: int, end: int) -> np.ndarray:
        """Labels (N,) of consecutive rows, int64."""
        return self._labels[first:end].astype(np.int64)

    def feats(self, rows: np.ndarray) -> np.ndarray:
        """Features (N, D) of any rows (N,), copied."""
        feats = self._feats[rows]
        # A row in a page of its own brings the whole page.
        self._touched += max(feats.nbytes, len(rows) * mmap.PAGESIZE)
        if self._touched > MAPPED_BYTES:
            self._touched = 0
            for mapped in self._maps if hasattr(mmap, 'MADV_DONTNEED') else ():
                mapped.madvise(mmap.MADV_DONTNEED)
        return feats

    def _open(self, path: Path, kind: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        size, expected = path.stat().st_size, kind.itemsize * int(np.prod(shape))
        if size != expected:
            raise FeatureBankError(f'{path} has {size} bytes, {expected} are expected. Delete '
                                   'the folder of the bank and build it anew.')
        if not size:  # which cannot be mapped
            return np.zeros(shape, kind)
        with path.open('rb') as file:
            self._maps.append(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))
        return np.frombuffer(self._maps[-1], kind).reshape(shape)


@cache
def open_table(root: str, split: str) -> FeatureTable:
    """The table of a split, opened once for all who read it in this process."""
    return FeatureTable(root, split)
