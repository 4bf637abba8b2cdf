"""Folders that appear under their names only when what is built in them is complete."""
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def complete_folder(out_dir: Path, own_entries: Collection[str], caller: str) -> Iterator[Path]:
    """Build in a folder beside another, which it replaces once nothing has failed.

    Args:
        out_dir: the other; it may exist if it holds nothing but ``own_entries``.
        own_entries: names of what a build puts into its folder.
        caller: name of the function, for messages.

    Yields:
        The folder to build in.

    Raises:
        FileExistsError: if ``out_dir`` holds something else.
        OSError: if it cannot be written.
    """
    check_replaceable(out_dir, own_entries, caller)
    partial_dir = out_dir.with_name(f'{out_dir.name}.partial')
    shutil.rmtree(partial_dir, ignore_errors=True)
    try:
        partial_dir.mkdir(parents=True)
    except OSError as error:
        raise OSError(f'{caller}(out_dir=) expects a folder that can be written, got {out_dir} '
                      f'({error}).') from error
    try:
        yield partial_dir
        shutil.rmtree(out_dir, ignore_errors=True)
        partial_dir.rename(out_dir)
    finally:
        shutil.rmtree(partial_dir, ignore_errors=True)


def check_replaceable(out_dir: Path, own_entries: Collection[str], caller: str) -> None:
    """Raise an error if a folder holds anything that a build did not put there."""
    if out_dir.is_dir():
        foreign = sorted(entry.name for entry in out_dir.iterdir()
                         if entry.name not in own_entries)
    else:
        foreign = [out_dir.name] if out_dir.exists() else []
    if foreign:
        raise FileExistsError(f'{caller}(out_dir=) expects a new folder or one of its own, '
                              f'got {out_dir} with {foreign[0]!r}. Choose another folder.')


def check_numbers(caller: str, seed: int, workers: int) -> None:
    """Raise a ``ValueError`` if the seed is negative or there is no worker."""
    for name, value, minimum in (('seed', seed, 0), ('workers', workers, 1)):
        if value < minimum:
            raise ValueError(f'{caller}({name}=) expects a number >= {minimum}, got {value}.')
