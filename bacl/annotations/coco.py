"""Annotation files in COCO format: reading one, and counting its classes."""
from collections import defaultdict
from collections.abc import Sequence
from os import PathLike

from .audit import check_annotations
from .class_table import ClassTable
from .files import read_annotations
from .use import Use


def coco_use(name_field: str | None = None, **kwargs) -> Use:
    """The needs of a dataset or an evaluation that reads a COCO file.

    Args:
        name_field: see :class:`.use.Use`.
        **kwargs: of the same.
    """
    return Use('COCO', ('height', 'width', *([name_field] if name_field else [])),
               ('id', 'bbox', 'area'), name_field=name_field, **kwargs)


def check_coco_content(data: dict, ann_file: str | PathLike, image_fields: Sequence[str] = (),
                       annotation_fields: Sequence[str] = ()) -> None:
    """Raise an error if the content of a file is not COCO, or a rule refuses it.

    Args:
        data: what :func:`.files.read_annotations` returned.
        ann_file: for the message.
        image_fields: see :func:`read_coco_annotations`.
        annotation_fields: the same.

    Raises:
        ValueError: see :func:`.audit.check_annotations`.
    """
    check_annotations(data, ann_file, Use('COCO', image_fields, annotation_fields))


def read_coco_annotations(ann_file: str | PathLike,
                          image_fields: Sequence[str] = (),
                          annotation_fields: Sequence[str] = (),
                          backend_args: dict | None = None) -> dict:
    """Read an annotation file in COCO format and check that it is one.

    Args:
        ann_file: path or URL of the annotation file.
        image_fields: what every image must have besides its id. Whatever else it has is checked,
            too.
        annotation_fields: what every annotation must have besides its image and category.
        backend_args: of mmengine's file backend; None finds the backend by the path.

    Returns:
        The content of the file.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if it is empty or not JSON; see also :func:`.audit.check_annotations`.
    """
    data = read_annotations(ann_file, backend_args)
    check_coco_content(data, ann_file, image_fields, annotation_fields)
    return data


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
    for annotation in data.get('annotations', []):
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
