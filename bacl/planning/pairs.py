"""Both sides of a split: two files, or one that is split; and where configs find them."""
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bacl.annotations.class_table import COCO_LT_GROUP, LVIS_GROUP
from bacl.annotations.splitting import COUNTS, part_of, split_images, training_part

from .annotation_files import write_packed
from .image_files import ImageFolder
from .repairs import align_categories
from .sides import PlanRefusedError, Side, audit_side, find_images, is_federated, read_side

# Receives a line for each step.
Report = Callable[[str], None]


@dataclass(frozen=True)
class Sources:
    """Where the data are.

    Attributes:
        train: annotations for training.
        images: folder of the images.
        val: annotations for validation; None splits those for training.
        val_images: folder of their images; None is ``images``.
        val_share: of the images that a split gives to validation.
        seed: of the split.
        crowds_are_objects: whether iscrowd 1 is taken for 0.
        num_opened: images of a file that are decoded; 0 for none.
    """

    train: Path
    images: Path
    val: Path | None = None
    val_images: Path | None = None
    val_share: float = 0.2
    seed: int = 0
    crowds_are_objects: bool = False
    num_opened: int = 0

    def images_of(self, split: str) -> Path:
        """The folder of images of a side."""
        return self.val_images if split == 'val' and self.val_images else self.images


@dataclass(frozen=True)
class Pair:
    """Images and annotations for training and for validation, audited.

    Attributes:
        train: for training.
        val: for validation.
        is_lvis: whether both have what evaluation by LVIS needs; else both are COCO.
        notes: what was changed, and what is unusual, as sentences.
    """

    train: Side
    val: Side
    is_lvis: bool
    notes: list[str]


@dataclass(frozen=True)
class DataPaths:
    """The files of a plan as configs name them.

    Attributes:
        root: of all, '' or ending with '/'.
        ann_files: per split, below ``root``.
        prefixes: folder of images per split, below ``root``, '' or ending with '/'.
        formats: per split, a key of :data:`.sides.DATASETS`.
    """

    root: str
    ann_files: dict[str, str]
    prefixes: dict[str, str]
    formats: dict[str, str]


def read_pair(sources: Sources, report: Report) -> Pair:
    """Read, repair and audit what a plan is made for.

    Args:
        sources: where it is.
        report: receives a line for each step.

    Raises:
        FileNotFoundError: if a file or folder is missing.
        PlanRefusedError: if the data cannot be used, naming file and ids.
        ValueError: if a file is of another format, or an argument is wrong.
    """
    if sources.num_opened < 0:
        raise ValueError(f'--open-images expects a number from 0 on, got {sources.num_opened}.')
    if sources.val_images and not sources.val:
        raise ValueError('--val-images expects --val, the annotations of these images.')
    folders: dict[Path, ImageFolder] = {}
    sides: list[Side] = []
    for split, ann_file in (('train', sources.train), ('val', sources.val)):
        if ann_file is None:
            continue
        report(f'Reading {ann_file}.')
        side = read_side(split, ann_file, sources.crowds_are_objects)
        root = sources.images_of(split)
        report(f'Looking for {len(side.data["images"]):,} images in {root}.')
        if root not in folders:
            folders[root] = ImageFolder(root)
        find_images(side, folders[root])
        sides.append(side)
    is_lvis = all(side.format_name != 'COCO' for side in sides) and is_federated(sides[-1])
    for side in sides:
        if not is_lvis:
            to_coco(side)
        report(f'Checking {side.ann_file}.')
        audit_side(side, folders[sources.images_of(side.split)], sources.num_opened)
    if len(sides) == 2:  # audited: an id that is not listed could be one of the other file
        sides[1].repairs += align_categories(sides[1].data, sides[0].data, *(
            side.ann_file for side in reversed(sides)))
    notes = []
    for side in sides:
        notes += [f'{side.ann_file}: {note}.' for note in side.repairs]
        notes += [f'{side.ann_file}: {note}' for note in side.notes]
    if len(sides) == 1:
        *sides, note = split_side(sides[0], sources.val_share, sources.seed)
        audit_side(sides[1], folders[sources.images], 0)
        notes.append(note)
    else:
        notes += _shared_images(*sides, sources)
    return Pair(*sides, is_lvis, notes)


def to_coco(side: Side) -> None:
    """Let images be named by their file, as COCO does; LVIS v1 has URLs."""
    if side.format_name == 'LVIS v1':
        for image, name in zip(side.data['images'], side.names(), strict=True):
            image['file_name'] = name
        side.repairs.append('images are named by the path in their URL')
    side.format_name = 'COCO'


def split_side(side: Side, share: float, seed: int) -> tuple[Side, Side, str]:
    """Split a file by image, with every class on both sides where it has two images.

    Args:
        side: audited as one for training.
        share: of the images for validation.
        seed: of the choice.

    Returns:
        For training, for validation, and a sentence about both.

    Raises:
        PlanRefusedError: if no image can be spared.
        ValueError: if ``share`` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f'--val-share expects a number between 0 and 1, got {share}.')
    data = side.data
    if side.format_name == 'COCO':  # what is stored would be that of the whole
        stored = (*COUNTS, COCO_LT_GROUP, LVIS_GROUP)
        data = dict(data, categories=[
            {key: value for key, value in category.items() if key not in stored}
            for category in data['categories']])
    ids = split_images(data, share, seed)
    train, val = (
        replace(side, split=split, data=make(data, image_ids), is_new=True)
        for split, make, image_ids in zip(('train', 'val'), (training_part, part_of), ids,
                                          strict=True))
    if not val.data['annotations']:
        raise PlanRefusedError(
            f'{side.ann_file} is refused: no image with objects can be spared for validation '
            'without a class losing its last one. Annotate more, or pass --val FILE.')
    both = set.intersection(*({a['category_id'] for a in part.data['annotations']}
                              for part in (train, val)))
    return train, val, (
        f'{side.ann_file} is split by image, {len(ids[0]):,} for training and {len(ids[1]):,} for '
        f'validation (seed {seed}); {len(both)} of {len(data["categories"])} classes are on both '
        'sides. If images show the same scenes, split them yourself: --val.')


def _shared_images(train: Side, val: Side, sources: Sources) -> list[str]:
    roots = [sources.images_of(side.split).resolve() for side in (train, val)]
    paths = [[str(root / side.prefix / name) for name in side.names()]
             for root, side in zip(roots, (train, val), strict=True)]
    shared = set(paths[0]).intersection(paths[1])
    return [f'{len(shared)} images are in both files, such as {min(shared)}: they are known from '
            'training, and AP is too high.'] if shared else []


def write_pair(pair: Pair, sources: Sources, folder: Path, report: Report) -> DataPaths:
    """Write the annotations that are not as their files have them; say where everything is.

    Args:
        pair: of both sides.
        sources: where they are from.
        folder: of new files.
        report: receives a line for each.

    Raises:
        ValueError: if a file that is read would be overwritten.
    """
    files = {}
    for side in (pair.train, pair.val):
        files[side.split] = side.ann_file
        if side.repairs or side.is_new:
            path = folder / 'annotations' / f'{side.split}.json'
            if path.resolve() in (sources.train.resolve(),
                                  sources.val and sources.val.resolve()):
                raise ValueError(f'{path} is one of the files that are read. Choose another --data '
                                 'or --name.')
            report(f'Writing {path}.')
            write_packed(path, side.data)
            files[side.split] = path
    images = {side.split: sources.images_of(side.split) for side in (pair.train, pair.val)}
    root = common_folder(*files.values(), *images.values())
    prefixes = {side.split: f'{_below(root, images[side.split])}/{side.prefix}'.removeprefix('./')
                for side in (pair.train, pair.val)}
    return DataPaths(root, {split: _below(root, path) for split, path in files.items()}, prefixes,
                     {side.split: side.format_name for side in (pair.train, pair.val)})


def common_folder(*paths: Path) -> str:
    """The folder that holds all, ending with '/'; '' if that is the current one or above it."""
    here = Path.cwd()
    absolute = [Path(os.path.abspath(path)) for path in paths]
    root = Path(os.path.commonpath([path if path.is_dir() else path.parent for path in absolute]))
    return '' if root == here or root in here.parents else f'{_shown(root)}/'


def _below(root: str, path: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix() if root else _shown(path)


def _shown(path: Path) -> str:
    """A path from the current folder, or from '/' if it is not below."""
    absolute = Path(os.path.abspath(path))
    here = Path.cwd()
    return (absolute.relative_to(here) if absolute.is_relative_to(here) else absolute).as_posix()
