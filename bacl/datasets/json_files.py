"""Writing annotation files so that equal content gives equal bytes."""
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from bacl.compat.atomic_files import write_atomically


def write_json(file: Path, content: dict) -> None:
    """Write canonical JSON: sorted keys, no spaces, ASCII.

    The file appears under its name only when it is complete
    (:func:`~bacl.compat.atomic_files.write_atomically`).

    Args:
        file: to be written or replaced.
        content: of the file.
    """
    text = json.dumps(content, sort_keys=True, separators=(',', ':'))
    write_atomically(file, text.encode('ascii'))


def digest_files(files: Sequence[str | os.PathLike]) -> str:
    """SHA-256 of the bytes of files, one after the other, as hexadecimal digits."""
    sha256 = hashlib.sha256()
    for file in files:
        sha256.update(Path(file).read_bytes())
    return sha256.hexdigest()
