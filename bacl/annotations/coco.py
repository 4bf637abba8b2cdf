"""Annotation files in COCO format: reading one, and saying what is wrong with it."""
from collections import defaultdict
from collections.abc import Sequence
from os import PathLike
from typing import Any

from .class_table import ClassTable
from .files import RecordChecker, read_annotations

CATEGORY_FIELDS = ('id', 'name')


def read_coco_annotations(ann_file: str | PathLike,
                          image_fields: Sequence[str] = (),
                          annotation_fields: Sequence[str] = (),
                          backend_args: dict | None = None) -> dict:
    """Read an annotation file in COCO format and check that it is one.

    Checked: ``images``, ``annotations`` and ``categories`` are lists, the last not empty; images
    and categories have an ``id``, categories a ``name``, too, none of which occurs twice; every
    annotation refers to a listed image and category.

    Args:
        ann_file: path or URL of the annotation file.
        image_fields: what every image must have besides its id.
        annotation_fields: what every annotation must have besides its image and category. With
            'id' among them, no two annotations may have the same.
        backend_args: of mmengine's file backend; None finds the backend by the path.

    Returns:
        The content of the file.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if it is empty, not JSON or not COCO; names the file, the field and one record.
    """
    data = read_annotations(ann_file, backend_args)
    check_coco_content(data, ann_file, image_fields, annotation_fields)
    checker = RecordChecker('COCO', ann_file)
    checker.check_unique('images', data['images'], 'id')
    if 'id' in annotation_fields:
        checker.check_unique('annotations', data['annotations'], 'id')
    checker.check_references(data)
    return data


def check_coco_content(data: Any, ann_file: str | PathLike, image_fields: Sequence[str] = (),
                       annotation_fields: Sequence[str] = ()) -> None:
    """Raise an error if the content of a file lacks a list or a field of COCO's format.

    Args:
        data: what :func:`.files.read_annotations` returned.
        ann_file: for the message.
        image_fields: see :func:`read_coco_annotations`.
        annotation_fields: the same.

    Raises:
        ValueError: if it does, or if :func:`check_coco_categories` does.
    """
    RecordChecker('COCO', ann_file).check_lists(data, {
        'images': ('id', *image_fields),
        'annotations': ('image_id', 'category_id', *annotation_fields),
        'categories': CATEGORY_FIELDS,
    })
    check_coco_categories(data['categories'], ann_file)


def check_coco_categories(categories: Sequence[dict], ann_file: str | PathLike) -> None:
    """Raise an error if categories lack what the classes of a dataset need.

    Args:
        categories: records of the list 'categories'.
        ann_file: for the message.

    Raises:
        ValueError: if there is none, one lacks its id or name, or two have the same.
    """
    checker = RecordChecker('COCO', ann_file)
    checker.check_categories(categories, CATEGORY_FIELDS)
    for field in CATEGORY_FIELDS:
        checker.check_unique('categories', categories, field)


def coco_class_table(data: dict, ann_file: str | PathLike | None) -> ClassTable:
    """Tabulate the classes of what :func:`read_coco_annotations` returned.

    Args:
        data: content of the annotation file.
        ann_file: for the message.

    Returns:
        The classes, in the order of the file's categories.

    Raises:
        ValueError: see :meth:`.class_table.ClassTable.from_categories`.
    """
    images = defaultdict(list)
    for annotation in data['annotations']:
        images[annotation['category_id']].append(annotation['image_id'])
    return ClassTable.from_categories(data['categories'], images, len(data['images']), ann_file)


def read_class_table(ann_file: str | PathLike, backend_args: dict | None = None) -> ClassTable:
    """Tabulate the classes of a COCO or LVIS file.

    Args:
        ann_file: path or URL of the annotation file.
        backend_args: of mmengine's file backend; None finds the backend by the path.

    Returns:
        The classes, in the order of the file's categories, which is that of the labels.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: see :func:`read_coco_annotations` and :func:`coco_class_table`.
    """
    data = read_coco_annotations(ann_file, backend_args=backend_args)
    return coco_class_table(data, ann_file)
