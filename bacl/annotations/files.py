"""Annotation files of any format: reading them, and the rules that the formats share."""
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from mmengine.fileio import exists, get


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


@dataclass(frozen=True)
class RecordChecker:
    """Raises a ``ValueError`` where the content of an annotation file is not of its format.

    The message names the file, the field and the first record in question. A section is one of the
    file's lists: 'images', 'annotations' or 'categories'.

    Args:
        format_name: 'COCO' or 'LVIS', for the message.
        ann_file: for the message.
    """

    format_name: str
    ann_file: str | PathLike

    def error(self, reason: str) -> ValueError:
        """The error for a file that breaks a rule, for the caller to raise."""
        return ValueError(f'Annotation file {self.ann_file} is not {self.format_name}: {reason}.')

    def record_error(self, section: str, position: int, record: Any, reason: str) -> ValueError:
        """The same for one record: it is called by its id, or without one by its position."""
        has_id = isinstance(record, dict) and 'id' in record
        name = f'id {record["id"]}' if has_id else f'number {position}'
        return self.error(f'{name} of its {section!r} {reason}')

    def check_lists(self, data: Any, fields: Mapping[str, Sequence[str]]) -> None:
        """The file must have each section of ``fields``, as a list, and its records the fields."""
        for section, names in fields.items():
            records = data.get(section) if isinstance(data, dict) else None
            if not isinstance(records, list):
                raise self.error(f'it has no list {section!r}')
            self.check_fields(section, records, names)

    def check_fields(self, section: str, records: Sequence[Any], fields: Sequence[str]) -> None:
        """Each of the records must have the fields."""
        for position, record in enumerate(records):
            for field in fields:
                if not isinstance(record, dict) or field not in record:
                    raise self.record_error(section, position, record, f'has no {field!r}')

    def check_categories(self, categories: Sequence[Any], fields: Sequence[str]) -> None:
        """There must be a category, and each must have the fields."""
        if not categories:
            raise self.error("its list 'categories' is empty")
        self.check_fields('categories', categories, fields)

    def check_unique(self, section: str, records: Sequence[dict], field: str) -> None:
        """No two records may have the same value of a field."""
        seen = set()
        for record in records:
            if record[field] in seen:
                raise self.error(f'its {section!r} have the {field} {record[field]!r} twice')
            seen.add(record[field])

    def check_references(self, data: Mapping[str, Sequence[dict]]) -> None:
        """Each annotation must belong to a listed image and category."""
        for field, section in (('image_id', 'images'), ('category_id', 'categories')):
            known = {record['id'] for record in data[section]}
            for position, annotation in enumerate(data['annotations']):
                if annotation[field] not in known:
                    raise self.record_error(
                        'annotations', position, annotation,
                        f'has the {field!r} {annotation[field]!r}, which it does not list')
