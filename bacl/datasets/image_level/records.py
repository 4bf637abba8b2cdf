"""Reading of image-level data: a folder per class, a list of files, or a file in LVIS format.

A record is an image, with the name of its class, if it has one, and the box of its object, if the
source says it.
"""
import json
from collections.abc import Sequence
from itertools import chain
from os import PathLike, path
from pathlib import Path
from posixpath import normpath
from typing import NamedTuple

from bacl.annotations.columns import integer_lists, number_rows
from bacl.annotations.files import decode_text, read_annotations, read_bytes
from bacl.annotations.rules import Finding, Rule

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')

BAD_ROW = Rule('bad-row', 'rows or images that are not as the format says', 'A row of a list is '
               'the path, and maybe the class and x1, y1, x2, y2, separated by tabs; an image of a '
               'JSON file has a file_name, maybe pos_category_ids and maybe a region of these '
               'four; a path with a space and no class ends as an image does', refused=True)
UNKNOWN_CLASS = Rule('unknown-class', 'classes that the detection data do not have',
                     'Correct their names or leave them out', refused=True)
REPEATED_IMAGE = Rule('repeated-image', 'images that are listed more than once',
                      'List each image once, with its class', refused=True)
NO_IMAGES = Rule('no-images', 'data without an image', 'Choose another folder or file',
                 refused=True)
UNLABELLED = Rule('unlabelled', 'images without a class', 'Kept; losses that need a class leave '
                  'them out')
SEVERAL_CLASSES = Rule('several-classes', 'images with several classes',
                       'Kept with the first of them')
ABSENT_CLASS = Rule('absent-class', 'classes of the detection data without such an image',
                    'They are learned from detection data alone')
IMAGE_LEVEL_RULES = (BAD_ROW, UNKNOWN_CLASS, REPEATED_IMAGE, NO_IMAGES, UNLABELLED,
                     SEVERAL_CLASSES, ABSENT_CLASS)


class ImageLevelRecord(NamedTuple):
    """An image.

    Attributes:
        path: below the folder of images, or absolute, or a URL.
        classes: names of what it shows; none if unlabelled.
        region: x1, y1, x2, y2 in pixels of its object; None if nobody says.
    """

    path: str
    classes: tuple[str, ...] = ()
    region: tuple[float, ...] | None = None


class Reading(NamedTuple):
    """What was read.

    Attributes:
        records: the images.
        bad_rows: what is no record, in words.
    """

    records: list[ImageLevelRecord]
    bad_rows: list[str]


def read_records(source: str | PathLike, backend_args: dict | None = None) -> Reading:
    """Read image-level data.

    Args:
        source: a folder with a folder of images for each class, named as the class; a JSON file in
            LVIS format whose images have ``pos_category_ids``; or any other file as a list: a row
            is the path, and maybe the class and x1, y1, x2, y2, separated by tabs.
        backend_args: of mmengine's file backend, for files.

    Raises:
        FileNotFoundError: if there is no such folder or file.
        ValueError: if a JSON file is not one, lacks its lists, or names classes wrongly.
    """
    if path.isdir(source):
        return _read_folder(Path(source))
    if str(source).lower().endswith('.json'):
        return _read_lvis(read_annotations(source, backend_args), source)
    cure = 'Check data_root and ann_file of the dataset.'
    content = read_bytes(source, 'Image-level data', cure, backend_args)
    return _read_rows(decode_text(content, f'List {source}').splitlines())


def _read_folder(folder: Path) -> Reading:
    records, bad_rows = [], []
    for entry in sorted(folder.iterdir()):
        if not entry.is_dir():
            bad_rows.append(f'{entry.name} is no folder of a class')
            continue
        for file in sorted(entry.iterdir()):
            if file.suffix.lower() in IMAGE_SUFFIXES:
                records.append(ImageLevelRecord(f'{entry.name}/{file.name}', (entry.name,)))
            else:
                bad_rows.append(f'{entry.name}/{file.name} is no image')
    return Reading(records, bad_rows)


def _read_rows(rows: Sequence[str]) -> Reading:
    records, bad_rows = [], []
    for number, row in enumerate(rows, start=1):
        name, *fields = (field.strip() for field in row.split('\t'))
        region = _region(fields[1:])
        has_lost_tab = not fields and ' ' in name and not name.lower().endswith(IMAGE_SUFFIXES)
        if name and (region or len(fields) < 2) and not has_lost_tab:
            records.append(ImageLevelRecord(name, tuple(filter(None, fields[:1])), region))
        elif row.strip():
            bad_rows.append(f'row {number}')
    return Reading(records, bad_rows)


def _region(box: Sequence) -> tuple[float, ...] | None:
    """x1, y1, x2, y2; None if it is no box."""
    try:
        x1, y1, x2, y2 = number_rows([[float(value) for value in box]], 4)[0].tolist()
    except (TypeError, ValueError):
        return None
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def _read_lvis(data: dict, source: str | PathLike) -> Reading:
    for section in ('images', 'categories'):
        if not isinstance(data, dict) or not isinstance(data.get(section), list):
            raise ValueError(f'Image-level file {source} expects the lists images and categories, '
                             f'as LVIS has them, got no {section!r}.')
    try:
        names = {category['id']: category['name'] for category in data['categories']}
    except (KeyError, TypeError):
        raise ValueError(f'Image-level file {source} expects categories with id and name, got '
                         f'{json.dumps(data["categories"])[:100]}.') from None
    if any(not isinstance(name, str) or not name.strip() for name in names.values()) or not (
            len(set(names.values())) == len(names) == len(data['categories'])):
        raise ValueError(f'Image-level file {source} expects categories each with an id and a name '
                         f'of its own, got {json.dumps(data["categories"])[:100]}.')
    records, bad_rows = [], []
    for number, image in enumerate(data['images']):
        image = image if isinstance(image, dict) else {}
        ids, region = image.get('pos_category_ids', []), image.get('region')
        name = image.get('file_name')
        if (not isinstance(name, str) or not name.strip() or integer_lists([ids])[0]
                or not set(ids) <= names.keys() or (region is not None and not _region(region))):
            bad_rows.append(f"image {image.get('id', f'number {number}')}")
            continue
        records.append(ImageLevelRecord(name, tuple(names[id_] for id_ in ids),
                                        None if region is None else _region(region)))
    return Reading(records, bad_rows)


def audit_records(reading: Reading, classes: Sequence[str]) -> list[Finding]:
    """Apply all rules.

    Args:
        reading: what :func:`read_records` returned.
        classes: of the detection data.

    Returns:
        A finding for each rule that applies, in the order of :data:`IMAGE_LEVEL_RULES`.
    """
    found = {rule: Finding(rule) for rule in IMAGE_LEVEL_RULES}
    for example in reading.bad_rows:
        found[BAD_ROW].add(example)
    present = dict.fromkeys(chain.from_iterable(record.classes for record in reading.records))
    for name in present:
        if name not in classes:
            found[UNKNOWN_CLASS].add(repr(name))
    seen = set()
    for record in reading.records:
        key = record.path if '://' in record.path else normpath(record.path)
        if key in seen:
            found[REPEATED_IMAGE].add(record.path)
        seen.add(key)
        if not record.classes:
            found[UNLABELLED].add(record.path)
        elif len(record.classes) > 1:
            found[SEVERAL_CLASSES].add(record.path)
    if not reading.records:
        found[NO_IMAGES].count = 1
    elif present:
        for name in classes:
            if name not in present:
                found[ABSENT_CLASS].add(repr(name))
    return [finding for finding in found.values() if finding.count]
