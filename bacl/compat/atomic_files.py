"""Files that are there as a whole or not at all."""
import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

PARTIAL = '.partial'  # ends the name of a file that is being written
BACKEND = 'bacl_atomic_local'  # name of AtomicLocalBackend for mmengine


def write_atomically(path: str | Path, content: bytes | Iterable[bytes]) -> None:
    """Replace a file in one step, and on the disk before this returns.

    Whoever reads ``path``, also after the process was killed or the power failed, finds the old
    content or the new one. A process that is killed leaves ``<name>.partial`` behind, which the
    next write to the same path overwrites.

    Args:
        path: of the file; a link is followed. Its folder is made if there is none.
        content: all of it, or parts, which are written one after the other.

    Raises:
        OSError: if it cannot be written; the old content is still there.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, because a file cannot be renamed across file systems.
    partial = path.with_name(path.name + PARTIAL)
    try:
        with partial.open('wb') as file:
            is_whole = isinstance(content, bytes | bytearray | memoryview)
            file.writelines([content] if is_whole else content)
            file.flush()
            os.fsync(file.fileno())  # else a power failure may keep the name and lose the content
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Bring a new name to the disk; some network file systems cannot, and need not."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)  # Windows opens no folders
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@register_backend(BACKEND)
class AtomicLocalBackend(LocalBackend):
    """mmengine's backend for local files, with :func:`write_atomically` for bytes."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to a file, as a whole or not at all."""
        write_atomically(filepath, obj)
