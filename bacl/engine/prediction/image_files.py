"""The images that a user names: one file, a folder, or a list of files."""
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

SUFFIXES = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp')
LIST_SUFFIX = '.txt'


class ImageFile(NamedTuple):
    """An image that is to be read.

    Attributes:
        path: or URL.
        name: below a folder that all images share, with forward slashes.
    """

    path: str
    name: str


def find_images(source: str | os.PathLike | Iterable[str | os.PathLike],
                without: str | os.PathLike | None = None) -> list[ImageFile]:
    """Find images.

    Args:
        source: an image; a folder, of which all images count, in sub-folders, too, by name; a
            ``.txt`` file with the path of an image in each line, which starts in the folder of the
            list; or the paths themselves. An image may have a URL.
        without: images in this folder do not count.

    Returns:
        At least one. Images that are named do not have to exist.

    Raises:
        FileNotFoundError: if ``source`` does not exist.
        ValueError: if it has no image.
    """
    if not isinstance(source, str | os.PathLike):
        return _named([os.fspath(path) for path in source], 'the paths')
    path = os.fspath(source)
    if os.path.isdir(path):
        return _of_folder(Path(path), None if without is None else Path(without).resolve())
    if path.lower().endswith(LIST_SUFFIX):
        return _of_list(Path(path))
    if '://' not in path and not os.path.isfile(path):
        raise FileNotFoundError(f'IMAGES expects an image, a folder or a {LIST_SUFFIX} list, got '
                                f'{path!r}: no such file.')
    return _named([path], path)


def _of_folder(folder: Path, without: Path | None) -> list[ImageFile]:
    found = sorted(path for path in folder.rglob('*')
                   if path.suffix.lower() in SUFFIXES and path.is_file()
                   and not (without and path.resolve().is_relative_to(without)))
    if not found:
        raise ValueError(f'IMAGES expects a folder with images ({", ".join(SUFFIXES)}), got '
                         f'{str(folder)!r} without any.')
    return [ImageFile(str(path), path.relative_to(folder).as_posix()) for path in found]


def _of_list(file: Path) -> list[ImageFile]:
    lines = [line.strip() for line in file.read_text('utf-8-sig').splitlines()]
    return _named([line if '://' in line else str(file.parent / line) for line in lines if line],
                  str(file))


def _named(paths: list[str], source: str) -> list[ImageFile]:
    if not paths:
        raise ValueError(f'IMAGES expects at least one image, got none in {source}.')
    # Absolute, so that `..` cannot lead out of the folder that results go to.
    full = [urlsplit(path).path if '://' in path else os.path.abspath(path) for path in paths]
    shared = os.path.commonpath([os.path.dirname(path) or '/' for path in full])
    names = [Path(os.path.relpath(path, shared)).as_posix() for path in full]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'IMAGES expects every image once, got {repeated!r} more than once in '
                         f'{source}.')
    return [ImageFile(path, name) for path, name in zip(paths, names, strict=True)]
