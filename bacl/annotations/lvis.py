"""What is wrong with an annotation file in LVIS format, in words.

Loading for training does not validate a file of a gigabyte first: it checks what it has in memory
anyway, and calls :func:`check_lvis_annotations` to explain a failure.
"""
from collections.abc import Sequence
from os import PathLike
from typing import Any

from .files import RecordChecker, read_annotations

# LVIS's names of the groups of categories: rare, common, frequent.
FREQUENCIES = ('r', 'c', 'f')

REQUIRED_FIELDS = {
    'images': ('id', 'height', 'width'),
    'annotations': ('id', 'image_id', 'category_id', 'bbox', 'area'),
    'categories': ('id', 'name', 'frequency'),
}


def check_lvis_annotations(ann_file: str | PathLike, image_fields: Sequence[str] = (),
                           backend_args: dict | None = None) -> None:
    """Raise an error that names what keeps a file from being read as LVIS annotations.

    Args:
        ann_file: path or URL of the annotation file.
        image_fields: what every image must have besides :data:`REQUIRED_FIELDS`: 'file_name' in
            LVIS v0.5, 'coco_url' in LVIS v1.
        backend_args: of mmengine's file backend; None finds the backend by the path.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if it is empty, not JSON, or lacks a list or a field.
    """
    check_lvis_content(read_annotations(ann_file, backend_args), ann_file, image_fields)


def check_lvis_content(data: Any, ann_file: str | PathLike,
                       image_fields: Sequence[str] = ()) -> None:
    """The same for a file that has been read.

    Args:
        data: its content.
        ann_file: for the message.
        image_fields: see :func:`check_lvis_annotations`.

    Raises:
        ValueError: if it lacks a list or a field.
    """
    RecordChecker('LVIS', ann_file).check_lists(
        data, {**REQUIRED_FIELDS, 'images': (*REQUIRED_FIELDS['images'], *image_fields)})
    check_lvis_categories(data['categories'], ann_file)


def check_lvis_categories(categories: Sequence[dict], ann_file: str | PathLike) -> None:
    """Raise an error if categories lack what the classes of a long-tailed dataset need.

    Args:
        categories: records of the list 'categories'.
        ann_file: for the message.

    Raises:
        ValueError: if there is none, one lacks a field, or its 'frequency' is not r, c or f.
    """
    RecordChecker('LVIS', ann_file).check_categories(categories, REQUIRED_FIELDS['categories'])
    check_frequencies(categories, ann_file)


def check_frequencies(categories: Sequence[dict], ann_file: str | PathLike) -> None:
    """Raise a ``ValueError`` that names the first category in none of :data:`FREQUENCIES`."""
    for position, category in enumerate(categories):
        if category['frequency'] not in FREQUENCIES:
            raise RecordChecker('LVIS', ann_file).record_error(
                'categories', position, category,
                f"has the 'frequency' {category['frequency']!r}, not one of {FREQUENCIES}")
