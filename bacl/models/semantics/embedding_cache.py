"""Embeddings of boxes in a file, for all trainings with the same teacher."""
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

TOLERANCE = 1e-2  # of a teacher on another machine, relative to the length of an embedding
TIMEOUT = 60  # seconds that a process waits for another to write


class EmbeddingCache:
    """Keeps the embeddings of the boxes of an image in an SQLite file.

    What is looked up by is the picture itself, its pixels and its boxes: where data change, nothing
    is found, and what is found is right. Several processes may use a file at once, if it is on a
    file system that locks files, as local ones do.

    Args:
        file: is made with its folder if there is none.
        probe: (P, D), what the teacher makes of a fixed picture, by which another one is refused.

    Raises:
        ValueError: if the file is of another teacher, or no such file.
    """

    def __init__(self, file: str | os.PathLike, probe: Tensor) -> None:
        self.file = Path(file).expanduser()
        self.num_dims = probe.size(1)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._open() as table:
                table.execute('CREATE TABLE IF NOT EXISTS embeddings '
                              '(picture BLOB PRIMARY KEY, embeddings BLOB) WITHOUT ROWID')
        except sqlite3.DatabaseError as error:
            raise ValueError(f'cache_file= expects a file of embeddings, or none yet, got '
                             f'{self.file} ({error}). Choose another name.') from error
        self._put(b'probe', probe)
        known, probe = self._get(b'probe'), probe.flatten().float().cpu()
        if known.shape != probe.shape or (known - probe).norm() > TOLERANCE * probe.norm():
            raise ValueError(f'cache_file= expects embeddings of this teacher, got {self.file} '
                             'with those of another. Choose another file for each teacher.')

    def get(self, image: Tensor, boxes: Tensor) -> Tensor | None:
        """What is kept of a picture.

        Args:
            image: (3, H, W), RGB in [0, 1].
            boxes: (G, 4).

        Returns:
            (G, D), float32 on the CPU; None if it is unknown.
        """
        numbers = self._get(_key(image, boxes))
        return None if numbers is None else numbers.view(len(boxes), self.num_dims)

    def put(self, image: Tensor, boxes: Tensor, embeddings: Tensor) -> None:
        """Keep the embeddings of a picture; what is known already stays."""
        self._put(_key(image, boxes), embeddings)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection and a transaction, for one call: none may live through a fork.

        Raises:
            OSError: if the file cannot be read or written, or others write it all the time.
        """
        try:
            with closing(sqlite3.connect(self.file, timeout=TIMEOUT)) as connection, connection:
                yield connection
        except sqlite3.OperationalError as error:
            raise OSError(f'cache_file= expects a file that can be read and written, got '
                          f'{self.file} ({error}). Choose one on a local disk, or leave it '
                          'out.') from error

    def _get(self, key: bytes) -> Tensor | None:
        with self._open() as table:
            row = table.execute('SELECT embeddings FROM embeddings WHERE picture = ?',
                                (key,)).fetchone()
        return row and torch.from_numpy(np.frombuffer(row[0], dtype=np.float32).copy())

    def _put(self, key: bytes, embeddings: Tensor) -> None:
        with self._open() as table:
            table.execute('INSERT OR IGNORE INTO embeddings VALUES (?, ?)',
                          (key, embeddings.float().cpu().contiguous().numpy().tobytes()))


def _key(image: Tensor, boxes: Tensor) -> bytes:
    """A digest of the picture; what rounding left of its normalisation does not count."""
    picture = (image * 255).round().to(torch.uint8).cpu()
    places = (boxes * 100).round().to(torch.int32).cpu()  # hundredths of pixels
    digest = hashlib.sha256(repr((*picture.shape, len(places))).encode())
    for part in (picture, places):
        digest.update(part.contiguous().numpy().tobytes())
    return digest.digest()
