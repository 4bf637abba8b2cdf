"""Writing annotation files so that equal content gives equal bytes."""
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path


def write_json(file: Path, content: dict) -> None:
    """Write canonical JSON: sorted keys, no spaces, ASCII.

    The file appears under its name only when it is complete.

    Args:
        file: to be written or replaced, in a folder that exists.
        content: of the file.
    """
    partial = file.with_name(f'{file.name}.partial')
    try:
        partial.write_text(json.dumps(content, sort_keys=True, separators=(',', ':')),
                           encoding='ascii')
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)


def digest_files(files: Sequence[str | os.PathLike]) -> str:
    """SHA-256 of the bytes of files, one after the other, as hexadecimal digits."""
    sha256 = hashlib.sha256()
    for file in files:
        sha256.update(Path(file).read_bytes())
    return sha256.hexdigest()
