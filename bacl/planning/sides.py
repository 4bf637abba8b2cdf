"""The annotation files of a plan: read, repaired, with their images found, and audited."""
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from bacl.annotations.audit import FEDERATED_FIELDS, audit_annotations, check_form
from bacl.annotations.class_table import LVIS_GROUP
from bacl.annotations.coco import coco_use
from bacl.annotations.lvis import lvis_use
from bacl.annotations.masks import mask_faults
from bacl.annotations.rules import BOX_OVERHANG, CROWD, NOTHING_LEFT, Finding
from bacl.annotations.use import Use
from bacl.datasets import CocoLTDataset, LongTailLVISV05Dataset, LongTailLVISV1Dataset
from bacl.datasets.image_audit import EXIF_ORIENTATION, MISSING_IMAGE, ImageRecord, Loader
from bacl.datasets.long_tail import LongTailMixin
from bacl.engine.checking.data_check import audit_images
from PIL import Image

from .annotation_files import read_packed
from .image_files import FoundImages, ImageFolder
from .repairs import check_format, repair

# Images that are decoded before a plan is made; all of them take too long.
NUM_OPENED = 200
_NUM_LISTED = 5
# mmdet leaves out images with a shorter side.
MIN_SIZE = 32

DATASETS: dict[str, type[LongTailMixin]] = {
    'LVIS v1': LongTailLVISV1Dataset, 'LVIS': LongTailLVISV05Dataset, 'COCO': CocoLTDataset}


# What an unusual record may be a mistake for.
_HINTS = {
    CROWD: ' If these are single objects, as some tools write masks: --crowds-are-objects.',
    BOX_OVERHANG: ' If boxes are [x1, y1, x2, y2]: write [x, y, width, height].'}


class PlanRefusedError(ValueError):
    """The data cannot be trained on as they are; says which records of which file, and the cure."""


@dataclass
class Side:
    """One side of a split: images and annotations for training, or for validation.

    Attributes:
        split: 'train' or 'val'.
        ann_file: the file that it was read from.
        data: its content, repaired.
        format_name: a key of :data:`DATASETS`.
        repairs: what was changed, in words. If nothing was, the file can be used as it is.
        prefix: folder of the images below that of all images, '' or ending with '/'.
        notes: what the audit found without refusing it, in words.
        is_new: whether the content is another than that of the file.
    """

    split: str
    ann_file: Path
    data: dict
    format_name: str = 'COCO'
    repairs: list[str] = field(default_factory=list)
    prefix: str = ''
    notes: list[str] = field(default_factory=list)
    is_new: bool = False

    @property
    def name_field(self) -> str:
        """The field of an image that its path is made from."""
        return DATASETS[self.format_name].image_name_field

    def names(self) -> list[str]:
        """Of each image, the path as the dataset makes it of its record; '' if it has none."""
        make = DATASETS[self.format_name].image_name
        names = [image.get(self.name_field) for image in self.data['images']]
        return [make(None, image) if isinstance(name, str) and name else ''
                for name, image in zip(names, self.data['images'], strict=True)]


def read_side(split: str, ann_file: Path, crowds_are_objects: bool = False) -> Side:
    """Read and repair an annotation file.

    Args:
        split: 'train' or 'val'.
        ann_file: in COCO or LVIS format, as tools for labelling write it.
        crowds_are_objects: of :func:`.repairs.repair`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not JSON, or not of such a format.
    """
    data = read_packed(ann_file)
    check_format(data, ann_file)
    # Its three lists, and what cannot be made of something else.
    check_form(data, ann_file, Use('COCO', annotation_fields=()))
    side = Side(split, ann_file, data)
    side.repairs = repair(data, crowds_are_objects)
    side.format_name = _format_of(data)
    return side


def _format_of(data: dict) -> str:
    """LVIS if every category has a group of LVIS's; v1 if images are named by their URL alone."""
    if not all(category.get(LVIS_GROUP) for category in data['categories']):
        return 'COCO'
    by_url = all('coco_url' in image for image in data['images']) and not all(
        'file_name' in image for image in data['images'])
    return 'LVIS v1' if by_url else 'LVIS'


def is_federated(side: Side) -> bool:
    """Tell whether every image says which categories were looked for, as LVIS's do."""
    return side.format_name != 'COCO' and all(
        name in image for image in side.data['images'] for name in FEDERATED_FIELDS)


def find_images(side: Side, folder: ImageFolder) -> None:
    """Find the images of a side; give them names that begin at one folder, and sizes they lack.

    Args:
        side: changed in place.
        folder: of the images.

    Raises:
        PlanRefusedError: if images are not there, or no one can tell which of several are meant.
    """
    names = side.names()
    if not all(names):  # the audit names the records
        return
    found = folder.find(names, side.ann_file, side.split)
    _refuse_missing(side, names, found, folder)
    images = side.data['images']
    if found.prefix is not None and (found.prefix == '' or found.prefix.endswith('/')):
        side.prefix = found.prefix
    else:
        side.prefix = ''
        for image, path in zip(images, found.names, strict=True):
            image[side.name_field] = path
        side.repairs.append(f'images are named by their paths below {folder.root} '
                            f'({names[0]!r} is {found.names[0]!r})')
    _read_sizes(side, [folder.path(path) for path in found.names])


def _refuse_missing(side: Side, names: Sequence[str], found: FoundImages,
                    folder: ImageFolder) -> None:
    images = side.data['images']
    if found.ambiguous:
        position, paths = next(iter(found.ambiguous.items()))
        option = '--images' if side.split == 'train' else '--val-images'
        raise PlanRefusedError(
            f'{side.ann_file} is refused: {len(found.ambiguous)} of its images are in several '
            f'folders of {folder.root}, such as image {images[position].get("id")!r}, '
            f'{names[position]!r}: {", ".join(paths[:_NUM_LISTED])}. Name the right folder: '
            f'{option} DIR.')
    missing = found.missing
    if not missing:
        return
    finding = Finding(replace(
        MISSING_IMAGE, outcome='Check --images'), len(missing),
        [f'image {images[i].get("id")}: {names[i]}' for i in missing[:_NUM_LISTED]])
    raise PlanRefusedError(f'{side.ann_file} is refused, with the images of {folder.root}:\n'
                           f'  {finding}')


def _read_sizes(side: Side, paths: Sequence[Path]) -> None:
    """Width and height of images whose records lack them, or have them as text."""
    num_read = num_numbers = 0
    for image, path in zip(side.data['images'], paths, strict=True):
        sides = [_as_side(image.get(key)) for key in ('width', 'height')]
        if None in sides:
            try:
                sides = list(_stored_size(path))
            except (OSError, ValueError) as error:
                raise PlanRefusedError(
                    f'{side.ann_file} is refused: image {image.get("id")!r} has no width and '
                    f'height, and {path} cannot be opened ({error}).') from error
            num_read += 1
        elif any(isinstance(image[key], float) for key in ('width', 'height')):
            num_numbers += 1
        image['width'], image['height'] = sides
    if num_read:
        side.repairs.append(f'width and height of {num_read} images are read from their files')
    if num_numbers:
        side.repairs.append(f'width and height of {num_numbers} images are taken as whole numbers')


def _as_side(value: object) -> int | None:
    """A side that is a number; None if the file of the image has to be asked."""
    if value is None or isinstance(value, str) or value == 0:
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _stored_size(path: Path) -> tuple[int, int]:
    """Width and height of an image as it is loaded: turned as its EXIF data say."""
    with Image.open(path) as image:
        turned = image.getexif().get(EXIF_ORIENTATION) in (5, 6, 7, 8)
        return image.size[::-1] if turned else image.size


def audit_side(side: Side, folder: ImageFolder, num_opened: int = NUM_OPENED) -> None:
    """Apply the rules for annotations, and those for images to some of them.

    Args:
        side: gets ``notes``.
        folder: of the images.
        num_opened: images that are decoded at most, evenly spread over the file.

    Raises:
        PlanRefusedError: naming each rule that refuses something, with file and ids.
        ValueError: if a field is missing.
    """
    use = _use(side)
    check_form(side.data, side.ann_file, use)
    audit = audit_annotations(side.data, use)
    findings = list(audit.findings)
    images = side.data['images']
    if num_opened and not any(finding.rule.refused for finding in findings):
        step = -(-len(images) // num_opened)
        records = [
            ImageRecord(image['id'], str(folder.path(side.prefix + name)),
                        (image['height'], image['width']))
            for image, name in list(zip(images, side.names(), strict=True))[::step]]
        findings += audit_images(records, Loader(), 0)
    refused = [finding for finding in findings if finding.rule.refused]
    if refused:
        hint = ''
        crowds = next((finding.count for finding in findings if finding.rule is CROWD), 0)
        if crowds and any(finding.rule is NOTHING_LEFT for finding in refused):
            hint = (f'\n  {crowds} annotations have iscrowd 1, as some tools write masks of single '
                    'objects. If these are objects: --crowds-are-objects.')
        raise PlanRefusedError('\n'.join([f'{side.ann_file} is refused:',
                                          *(f'  {finding}' for finding in refused)]) + hint)
    is_part = audit.left_out and not audit.left_out.endswith('Left out: nothing.')
    side.notes = [audit.left_out] * bool(is_part) + [
        f'{finding}{_HINTS.get(finding.rule, "")}' for finding in findings]


def _use(side: Side) -> Use:
    if side.split == 'train':
        make = coco_use if side.format_name == 'COCO' else lvis_use
        return make(name_field=side.name_field, purpose='training', min_size=MIN_SIZE,
                    filters_empty=True, drops_empty=True)
    make = lvis_use if is_federated(side) else coco_use
    return make(name_field=side.name_field, purpose='evaluation')


def why_no_masks(side: Side) -> str:
    """The first reason against a training with the masks of a side; '' if all objects have one."""
    annotations = side.data['annotations']
    without = [annotation['id'] for annotation in annotations if 'segmentation' not in annotation]
    if without:
        return f'{len(without)} of {len(annotations)} have none, such as annotation {without[0]}'
    sizes = {image['id']: (image['height'], image['width']) for image in side.data['images']}
    faults = mask_faults([annotation['segmentation'] for annotation in annotations],
                         np.array([sizes[annotation['image_id']] for annotation in annotations]))
    if not faults:
        return ''
    position, fault = next(iter(faults.items()))
    return (f'{len(faults)} of {len(annotations)} cannot be drawn, such as that of annotation '
            f'{annotations[position]["id"]}: {fault}')
