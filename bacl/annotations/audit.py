"""The unusual in the annotations of one file, by rule: refused, or only counted.

Whatever reads an annotation file applies the rules; ``python -m bacl.check data`` lists all that
they find.
"""
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from os import PathLike
from typing import Any

import numpy as np

from .boxes import Boxes, is_bad_size, sizes_of
from .columns import Records, flags, integer_lists, integers, is_integer, shortened
from .masks import mask_faults
from .rules import (
    BAD_CATEGORY,
    BAD_FEDERATED,
    BAD_FLAG,
    BAD_ID,
    BAD_IMAGE,
    BAD_MASK,
    DUPLICATE_ID,
    DUPLICATE_IMAGE,
    EMPTY_CATEGORY,
    EMPTY_IMAGE,
    ID_0,
    ID_GAPS,
    NO_ANNOTATIONS,
    NO_GROUND_TRUTH,
    NUM_EXAMPLES,
    RULES,
    UNKNOWN_CATEGORY,
    UNKNOWN_IMAGE,
    Finding,
    Rule,
)
from .training_share import TrainingShare, name_of
from .use import Use

# LVIS's names of the groups of categories: rare, common, frequent.
FREQUENCIES = ('r', 'c', 'f')

# What LVIS knows of an image besides its annotations.
FEDERATED_FIELDS = ('neg_category_ids', 'not_exhaustive_category_ids')
_NO_FEDERATED_FIELD = (', so that nobody knows which detections are wrong. Take the file as LVIS '
                       'has it, or evaluate one that labels every category everywhere by COCO')


@dataclass(frozen=True)
class Audit:
    """The findings of all rules in one file.

    Attributes:
        findings: of each rule that applies to a record, in the order of :data:`RULES`.
        left_out: what training sees of the file and what it leaves out, in words; '' if the file
            is not for training, or has nothing.
    """

    findings: list[Finding]
    left_out: str = ''

    def refuse(self, ann_file: str | PathLike) -> None:
        """Raise a ``ValueError`` that names each finding of a refused rule, if there is any."""
        refused = [f'  {finding}' for finding in self.findings if finding.rule.refused]
        if refused:
            raise ValueError('\n'.join([
                f'Annotation file {ann_file} is refused:', *refused,
                '`python -m bacl.check data CONFIG` lists all that is wrong.']))

    def summary(self, data: dict, ann_file: str | PathLike) -> str:
        """The contents of a file, what was counted and what is left out, for the log."""
        return '\n'.join([size_of(data, ann_file), *([f'  {self.left_out}'] * bool(self.left_out)),
                          *(f'  {finding}' for finding in self.findings)])


def size_of(data: dict, ann_file: str | PathLike) -> str:
    """The numbers of records of a file, in words."""
    sizes = ', '.join(f'{len(data.get(section, []))} {section}'
                      for section in ('images', 'annotations', 'categories'))
    return f'{ann_file}: {sizes}.'


def check_annotations(data: Any, ann_file: str | PathLike, use: Use) -> Audit:
    """Raise an error if the content of a file is not what it is to be used for.

    Args:
        data: what :func:`.files.read_annotations` returned.
        ann_file: for the message.
        use: what it is to be used for.

    Returns:
        What is unusual without being refused.

    Raises:
        ValueError: if it lacks a list or a field, or if a rule refuses it; names the file, the
            field and the first records.
    """
    check_form(data, ann_file, use)
    audit = audit_annotations(data, use)
    audit.refuse(ann_file)
    return audit


def check_form(data: Any, ann_file: str | PathLike, use: Use) -> None:
    """Raise a ``ValueError`` if the content of a file lacks a list or a field of its use."""
    source = f'Annotation file {ann_file} is not {use.format_name}'
    if not isinstance(data, dict):
        raise ValueError(f"{source}: it has no list 'images'.")
    masks = ('segmentation', ) if use.masks else ()
    for section, fields in (('images', ('id', *use.image_fields)),
                            ('annotations', ('image_id', 'category_id', *use.annotation_fields,
                                             *masks)),
                            ('categories', use.category_fields)):
        default = [] if section == 'annotations' and use.purpose == 'prediction' else None
        records = data.get(section, default)
        if not isinstance(records, list):
            raise ValueError(f'{source}: it has no list {section!r}.')
        for name in fields:
            cure = _NO_FEDERATED_FIELD if name in FEDERATED_FIELDS else ''
            Records(source, section, records).column(name, cure)
    if not data['categories']:
        raise ValueError(f"{source}: its list 'categories' is empty.")


def audit_annotations(data: dict, use: Use) -> Audit:
    """Apply all rules to the content of an annotation file.

    Args:
        data: what :func:`check_form` has not refused.
        use: what it is to be used for.
    """
    images, categories = data['images'], data['categories']
    annotations = data.get('annotations', [])
    references = [integers([annotation[name] for annotation in annotations])
                  for name in ('image_id', 'category_id')]
    boxes = Boxes(images, annotations, *references)
    found = {rule: Finding(rule) for rule in RULES}
    for rule, examples in chain(
            _audit_ids('image', images),
            _audit_ids('annotation', [a for a in annotations if 'id' in a]),
            _audit_ids('category', categories),
            _audit_categories(categories, use),
            _audit_references('image', images, annotations, *references[0]),
            _audit_references('category', categories, annotations, *references[1]),
            _audit_images(images, use),
            _audit_federated(images),
            _audit_flags(annotations),
            _audit_masks(images, annotations, references[0][0]) if use.masks else (),
            ((rule, (_describe(annotations[i]) for i in positions))
             for rule, positions in boxes.rules.items()),
            _audit_purpose(annotations, boxes, use)):
        for example in examples:
            found[rule].add(example)
    left_out = ''
    # Of a file that is refused the numbers would not be right.
    if use.purpose == 'training' and annotations and not any(
            finding.count for finding in found.values() if finding.rule.refused):
        seen = TrainingShare(images, categories, references[0][0], references[1][0], boxes, use)
        for rule, examples in seen.audit():
            for example in examples:
                found[rule].add(example)
        left_out = str(seen)
    return Audit([finding for finding in found.values() if finding.count], left_out)


_Applied = Iterator[tuple[Rule, Iterable[str]]]


def _audit_ids(kind: str, records: Sequence[dict]) -> _Applied:
    ids = [record['id'] for record in records]
    found, is_bad = integers(ids)
    yield BAD_ID, (f'{kind} {shortened(ids[i])}' for i in np.flatnonzero(is_bad))
    yield DUPLICATE_ID, (f'{kind} {i}' for i in _repeated(found[~is_bad].tolist()))
    yield ID_0, [f'{kind} 0'] * int((found[~is_bad] == 0).any())


def _audit_categories(categories: Sequence[dict], use: Use) -> _Applied:
    names = [str(category['name']) for category in categories if 'name' in category]
    yield DUPLICATE_ID, (f'category {name!r}' for name in _repeated(names))
    for category in categories:
        for name, value in category.items():
            if (name == 'name' and not (isinstance(value, str) and value)
                    or name in ('image_count', 'instance_count')
                    and not (is_integer(value) and value >= 0)
                    or name == 'frequency' and name in use.category_fields
                    and value not in FREQUENCIES):
                yield BAD_CATEGORY, [f'category {category["id"]!r}: {name} {shortened(value)}']
    ids, is_bad = integers([category['id'] for category in categories])
    if not is_bad.any() and (np.diff(ids) != 1).any():
        ids = ids.tolist()
        yield ID_GAPS, [f'{str(ids[:NUM_EXAMPLES])[1:-1]}{", ..." * (len(ids) > NUM_EXAMPLES)}']


def _audit_references(kind: str, records: Sequence[dict], annotations: Sequence[dict],
                      referred: np.ndarray, is_bad: np.ndarray) -> _Applied:
    """The images or categories that annotations refer to, and that nothing refers to."""
    ids, is_bad_id = integers([record['id'] for record in records])
    is_bad = is_bad | ~np.isin(referred, ids[~is_bad_id])
    yield UNKNOWN_IMAGE if kind == 'image' else UNKNOWN_CATEGORY, (
        f'{_name(annotations, i)} of {kind} {annotations[i][f"{kind}_id"]!r}'
        for i in np.flatnonzero(is_bad))
    if annotations:
        is_unused = ~np.isin(ids, referred) & ~is_bad_id
        yield EMPTY_IMAGE if kind == 'image' else EMPTY_CATEGORY, (
            name_of(kind, records[i]) for i in np.flatnonzero(is_unused))


def _audit_images(images: Sequence[dict], use: Use) -> _Applied:
    yield BAD_IMAGE, (
        f'image {image["id"]!r}: ' + (f'{image[use.name_field]!r}, ' if use.name_field else '') +
        f'{image.get("width")!r} x {image.get("height")!r}' for image in images
        if is_bad_image(image, use.name_field))
    if use.name_field:
        names = [str(image[use.name_field]) for image in images]
        if len(set(names)) < len(names):
            ids_of = defaultdict(list)
            for name, image in zip(names, images, strict=True):
                ids_of[name].append(image['id'])
            yield DUPLICATE_IMAGE, (f'{name}: images {str(ids)[1:-1]}'
                                    for name, ids in ids_of.items() if len(ids) > 1)


def is_bad_image(image: dict, name_field: str | None) -> bool:
    """Apply the rule 'bad-image' to a record of an image.

    Args:
        image: the record. Sides that it lacks are not looked at.
        name_field: its field that the path is made from; None does not look at it.
    """
    name = 'some' if name_field is None else image[name_field]
    return not (isinstance(name, str) and name) or is_bad_size(image)


def _audit_federated(images: Sequence[dict]) -> _Applied:
    for name in FEDERATED_FIELDS:
        having = [image for image in images if name in image]
        is_bad = integer_lists([image[name] for image in having])
        yield BAD_FEDERATED, (f'image {having[i]["id"]!r}: {name} {shortened(having[i][name])}'
                              for i in np.flatnonzero(is_bad))


def _audit_flags(annotations: Sequence[dict]) -> _Applied:
    for name in ('iscrowd', 'ignore'):
        _, is_bad = flags([annotation.get(name, 0) for annotation in annotations])
        yield BAD_FLAG, (f'{_name(annotations, i)}: {name} {annotations[i][name]!r}'
                         for i in np.flatnonzero(is_bad))


def _audit_masks(images: Sequence[dict], annotations: Sequence[dict],
                 image_ids: np.ndarray) -> _Applied:
    sizes = sizes_of(images, image_ids)[:, ::-1]
    known = np.flatnonzero(~np.isnan(sizes).any(1))  # of the others another rule tells
    faults = mask_faults([annotations[i]['segmentation'] for i in known],
                         sizes[known].astype(np.int64))
    yield BAD_MASK, (f'{_name(annotations, known[i])} of image {image_ids[known[i]]}: {fault}'
                     for i, fault in faults.items())


def _audit_purpose(annotations: Sequence[dict], boxes: 'Boxes', use: Use) -> _Applied:
    if use.purpose == 'training' and not annotations:
        yield NO_ANNOTATIONS, ["the list 'annotations' is empty"]
    if use.purpose == 'evaluation':
        # By COCO, crowds are not to be found, by LVIS what is to be ignored or has no area.
        is_object = ~boxes.is_ignored & (boxes.areas > 0) if use.format_name == 'LVIS' else \
            ~boxes.is_crowd
        if not is_object.any():
            yield NO_GROUND_TRUTH, [f'{len(annotations)} annotations, none of them an object']


def _repeated(values: Sequence) -> Iterable:
    if len(set(values)) == len(values):
        return ()
    return (value for value, count in Counter(values).items() if count > 1)


def _name(annotations: Sequence[dict], position: int) -> str:
    annotation = annotations[position]
    return f'annotation {annotation["id"]!r}' if 'id' in annotation else \
        f'annotation number {position}'


def _describe(annotation: dict) -> str:
    name = f'annotation {annotation["id"]!r} ' if 'id' in annotation else 'annotation '
    return (f'{name}of image {annotation["image_id"]!r}: bbox '
            f'{shortened(annotation.get("bbox"))}, area {shortened(annotation.get("area"))}')
