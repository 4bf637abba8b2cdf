"""The files of images that annotations name in the way of another machine."""
import os
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What folders of a split are called. One of them decides where a name occurs in several folders.
SPLIT_FOLDERS = {'train': {'train', 'train2017', 'training'},
                 'val': {'val', 'val2017', 'valid', 'validation'}}


@dataclass(frozen=True)
class FoundImages:
    """Where the images of an annotation file are.

    Attributes:
        names: of each image, its path below the folder of images; None if it is not there.
        prefix: of all, if that in front of the names as they are written gives the paths; None if
            the names have to be written anew.
        ambiguous: per position the paths among which no one can choose.
    """

    names: list[str | None]
    prefix: str | None
    ambiguous: dict[int, list[str]] = field(default_factory=dict)

    @property
    def missing(self) -> list[int]:
        """Positions of the images that are not there."""
        return [i for i, name in enumerate(self.names) if name is None and i not in self.ambiguous]


class ImageFolder:
    """All files below a folder of images, by their names.

    Args:
        root: the folder.

    Raises:
        FileNotFoundError: if there is no such folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise FileNotFoundError(f'--images expects a folder, got {str(root)!r}.')
        self.root = root
        self.paths: set[str] = set()
        for folder, _, files in os.walk(root, followlinks=True):
            below = os.path.relpath(folder, root).replace(os.sep, '/')
            prefix = '' if below == '.' else f'{below}/'
            self.paths.update(prefix + name for name in files)
        self._by_name: dict[str, list[str]] = defaultdict(list)

    def path(self, name: str) -> Path:
        """Of the file with a path below the folder."""
        return self.root / name

    def find(self, names: Sequence[str], ann_file: Path, split: str) -> FoundImages:
        """Find images whose names may begin with folders of another machine.

        A name fits a file if both end alike; of several files that whose path has more in common
        with the name, else the one beside the annotation file, else the one in a folder that is
        called like the split.

        Args:
            names: as the annotation file writes them.
            ann_file: the annotation file.
            split: 'train' or 'val'.
        """
        written = [name.removeprefix('./') for name in names]
        if all(name in self.paths for name in written) and written == list(names):
            return FoundImages(written, '')
        if not self._by_name:
            for path in sorted(self.paths):
                self._by_name[_folded(path.rpartition('/')[2])].append(path)
        beside = os.path.relpath(ann_file.parent.resolve(), self.root.resolve())
        found: list[str | None] = []
        ambiguous = {}
        for position, name in enumerate(names):
            candidates = self._candidates(name, beside.replace(os.sep, '/'), split)
            found.append(candidates[0] if len(candidates) == 1 else None)
            if len(candidates) > 1:
                ambiguous[position] = candidates
        return FoundImages(found, _common_prefix(names, found), ambiguous)

    def _candidates(self, name: str, beside: str, split: str) -> list[str]:
        parts = path_parts(name)
        for variant in (parts, [unquote(part) for part in parts]):
            if not variant:
                continue
            paths = self._by_name.get(_folded(variant[-1]), [])
            if not paths:
                continue
            common = {path: _common_end(variant, path.split('/')) for path in paths}
            best = [path for path in paths if common[path] == max(common.values())]
            exact = [path for path in best if path.rpartition('/')[2] == variant[-1]]
            best = exact or best
            for is_better in (lambda path: path.rpartition('/')[0] == beside,
                              lambda path: f'{path}/'.startswith(f'{beside}/'),
                              lambda path: SPLIT_FOLDERS[split] & set(path.lower().split('/'))):
                if len(best) > 1:
                    best = [path for path in best if is_better(path)] or best
            return best
        return []


def path_parts(name: str) -> list[str]:
    r"""Folders and file of a name that another system wrote: '\' or URL, with or without a drive.

    Example:
        >>> path_parts('C:\\data\\images\\a.jpg')
        ['data', 'images', 'a.jpg']
        >>> path_parts('/data/local-files/?d=photos/a.jpg')
        ['photos', 'a.jpg']
    """
    if '?d=' in name:  # of files that Label Studio serves
        name = name.partition('?d=')[2]
    if '://' in name:
        name = urlsplit(name).path
    parts = name.replace('\\', '/').split('/')
    if parts and len(parts[0]) == 2 and parts[0][1] == ':':
        parts = parts[1:]
    return [part for part in parts if part not in ('', '.', '..')]


def _folded(name: str) -> str:
    """One form of names that differ in case, or in how a system composes accents."""
    return unicodedata.normalize('NFC', name).casefold()


def _common_end(ours: Sequence[str], theirs: Sequence[str]) -> int:
    number = 0
    for mine, other in zip(reversed(ours), reversed(theirs), strict=False):
        if _folded(mine) != _folded(other):
            break
        number += 1
    return number


def _common_prefix(names: Sequence[str], found: Sequence[str | None]) -> str | None:
    prefixes = {path[:len(path) - len(name)] if path is not None and path.endswith(name) else None
                for name, path in zip(names, found, strict=True)}
    return prefixes.pop() if len(prefixes) == 1 else None
