"""Annotation files in COCO format: reading one, and saying what is wrong with it."""
from collections import defaultdict
from collections.abc import Iterator, Sequence
from os import PathLike
from typing import Any

from .class_counts import ClassCounts, count_classes
from .files import read_annotations, record_name

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
    _raise_first(ann_file, _faults(data, {
        'images': ('id', *image_fields),
        'annotations': ('image_id', 'category_id', *annotation_fields),
        'categories': CATEGORY_FIELDS,
    }))
    return data


def check_coco_categories(categories: Sequence[dict], ann_file: str | PathLike) -> None:
    """Raise an error if categories lack what the classes of a dataset need.

    Args:
        categories: records of the list 'categories'.
        ann_file: for the message.

    Raises:
        ValueError: if there is none, one lacks its id or name, or two have the same.
    """
    _raise_first(ann_file, _record_faults(categories, 'categories', CATEGORY_FIELDS))


def count_coco_classes(data: dict) -> ClassCounts:
    """Count the classes of what :func:`read_coco_annotations` returned, in label order."""
    images = defaultdict(list)
    for annotation in data['annotations']:
        images[annotation['category_id']].append(annotation['image_id'])
    return count_classes(data['categories'], images)


def _raise_first(ann_file: str | PathLike, faults: Iterator[str]) -> None:
    for fault in faults:
        raise ValueError(f'Annotation file {ann_file} is not COCO: {fault}.')


def _faults(data: Any, fields: dict[str, Sequence[str]]) -> Iterator[str]:
    for section, names in fields.items():
        records = data.get(section) if isinstance(data, dict) else None
        if not isinstance(records, list):
            yield f'it has no list {section!r}'
            return
        yield from _record_faults(records, section, names)
    for field, section in (('image_id', 'images'), ('category_id', 'categories')):
        known = {record['id'] for record in data[section]}
        for position, annotation in enumerate(data['annotations']):
            if annotation[field] not in known:
                yield (f"{record_name(annotation, position)} of its 'annotations' has the "
                       f'{field!r} {annotation[field]!r}, which it does not list')


def _record_faults(records: Sequence[dict], section: str, names: Sequence[str]) -> Iterator[str]:
    if not records and section == 'categories':
        yield f'its list {section!r} is empty'
    for position, record in enumerate(records):
        for name in names:
            if not isinstance(record, dict) or name not in record:
                yield f'{record_name(record, position)} of its {section!r} has no {name!r}'
    for name in set(names) & {'id', 'name'}:
        seen = set()
        for record in records:
            if record[name] in seen:
                yield f'its {section!r} have the {name} {record[name]!r} twice'
            seen.add(record[name])
