"""What is wrong with an LVIS annotation file, in words: rules that training and evaluation share.

Loading for training does not validate a file of a gigabyte first: it checks what it has in memory
anyway, and calls :func:`check_lvis_annotations` to explain a failure.
"""
import json
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from mmengine.fileio import exists, get

# LVIS's names of the groups of categories: rare, common, frequent.
FREQUENCIES = ('r', 'c', 'f')

REQUIRED_FIELDS = {
    'images': ('id', 'height', 'width'),
    'annotations': ('id', 'image_id', 'category_id', 'bbox', 'area'),
    'categories': ('id', 'name', 'frequency'),
}


def read_annotations(ann_file: str | PathLike, backend_args: dict | None = None) -> Any:
    """Read a JSON file of annotations.

    Args:
        ann_file: path or URL of the annotation file.
        backend_args: of mmengine's file backend; None finds the backend by the path.

    Returns:
        Its content, unchecked.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if it is empty or not JSON.
    """
    ann_file = str(ann_file)
    if not exists(ann_file, backend_args=backend_args):
        raise FileNotFoundError(f'Annotation file {ann_file} does not exist. Check data_root and '
                                'ann_file of the dataset.')
    content = get(ann_file, backend_args=backend_args)
    if not content.strip():
        raise ValueError(f'Annotation file {ann_file} is empty. Download or build it again.')
    try:
        return json.loads(content)
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
        raise ValueError(f'Annotation file {ann_file} is not JSON: {error}. '
                         'Download or build it again.') from None


def check_lvis_annotations(ann_file: str, image_fields: Sequence[str] = (),
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
    fields = {**REQUIRED_FIELDS, 'images': (*REQUIRED_FIELDS['images'], *image_fields)}
    data = read_annotations(ann_file, backend_args)
    check_structure(data, fields, ann_file)
    check_categories(data['categories'], ann_file)


def check_structure(data: Any, fields: Mapping[str, Sequence[str]],
                    ann_file: str | PathLike) -> None:
    """Raise an error if a list or a field is missing, or a category is in none of the groups.

    Args:
        data: content of an annotation file.
        fields: per list that the file must have what each of its records must have; the records of
            'categories' at least 'frequency'.
        ann_file: for the message.

    Raises:
        ValueError: naming the file, the field and the first record in question.
    """
    for section, names in fields.items():
        records = data.get(section) if isinstance(data, dict) else None
        if not isinstance(records, list):
            raise not_lvis(ann_file, f'it has no list {section!r}')
        check_fields(records, section, names, ann_file)
    check_frequencies(data['categories'], ann_file)


def check_categories(categories: Sequence[dict], ann_file: str | PathLike) -> None:
    """Raise an error if categories lack what the classes of a long-tailed dataset need.

    Args:
        categories: records of the list 'categories'.
        ann_file: for the message.

    Raises:
        ValueError: if there is none, one lacks a field, or its 'frequency' is not r, c or f.
    """
    if not categories:
        raise not_lvis(ann_file, "its list 'categories' is empty")
    check_fields(categories, 'categories', REQUIRED_FIELDS['categories'], ann_file)
    check_frequencies(categories, ann_file)


def check_frequencies(categories: Sequence[dict], ann_file: str | PathLike) -> None:
    """Raise a ``ValueError`` that names the first category in none of :data:`FREQUENCIES`."""
    for position, category in enumerate(categories):
        if category['frequency'] not in FREQUENCIES:
            raise not_lvis(ann_file, f"{record_name(category, position)} of its 'categories' has "
                           f"the 'frequency' {category['frequency']!r}, not one of {FREQUENCIES}")


def check_fields(records: Sequence[dict], section: str, fields: Sequence[str],
                 ann_file: str | PathLike) -> None:
    """Raise a ``ValueError`` that names the first field which a record of ``section`` lacks."""
    for position, record in enumerate(records):
        for field in fields:
            if not isinstance(record, dict) or field not in record:
                name = record_name(record, position)
                raise not_lvis(ann_file, f'{name} of its {section!r} has no {field!r}')


def record_name(record: Any, position: int) -> str:
    """What a message calls a record: its id, or without one its position in the list."""
    has_id = isinstance(record, dict) and 'id' in record
    return f'id {record["id"]}' if has_id else f'number {position}'


def not_lvis(ann_file: str | PathLike, reason: str) -> ValueError:
    """The error for a file that breaks a rule, for the caller to raise."""
    return ValueError(f'Annotation file {ann_file} is not LVIS: {reason}.')
