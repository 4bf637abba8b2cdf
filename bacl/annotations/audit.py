"""What is unusual in the annotations of one file, by rule: refused, or only counted.

The rules stand in the table of ``bacl/datasets/README.md``, with the reasons. A dataset applies
them when it loads its file, ``python -m bacl.check data`` without training.
"""
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from os import PathLike

import numpy as np

NUM_EXAMPLES = 5  # of the records that break a rule, in a message


@dataclass(frozen=True)
class Rule:
    """What may be unusual, and what becomes of it.

    Attributes:
        name: as in the table of the documentation.
        fact: what is unusual, in words.
        outcome: what happens to it; of a refused one, the cure.
        refused: whether a dataset with such a record is refused.
    """

    name: str
    fact: str
    outcome: str
    refused: bool = False


@dataclass
class Finding:
    """The records that one rule applies to.

    Attributes:
        rule: the rule.
        count: how many there are.
        examples: the first :data:`NUM_EXAMPLES`, in words.
    """

    rule: Rule
    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.examples) < NUM_EXAMPLES:
            self.examples.append(example)

    def __str__(self) -> str:
        more = ', ...' if self.count > len(self.examples) else ''
        examples = f' ({", ".join(self.examples)}{more})' if self.examples else ''
        return f'{self.rule.name}, {self.count}: {self.rule.fact}{examples}. {self.rule.outcome}.'


BAD_ID = Rule('bad-id', 'records whose id is no whole number',
              'Write ids as whole numbers', refused=True)
DUPLICATE_ID = Rule('duplicate-id', 'ids, or names of categories, that several have',
                    'Give each its own, and the annotations the right one', refused=True)
UNKNOWN_IMAGE = Rule('unknown-image', 'annotations of an image that is not listed',
                     'List the image or remove them', refused=True)
UNKNOWN_CATEGORY = Rule('unknown-category', 'annotations of a category that is not listed',
                        'List the category or remove them', refused=True)
BAD_IMAGE = Rule('bad-image', 'images without a file name, or without width and height above 0',
                 'Write the size of the image in pixels', refused=True)
BAD_BOX = Rule('bad-box', 'annotations whose bbox is not four finite numbers, or whose area is not '
               'one', 'Repair or remove them', refused=True)
NEGATIVE_BOX = Rule('negative-box', 'annotations with a bbox of negative width or height',
                    'Write boxes as [x, y, width, height]', refused=True)
NO_ANNOTATIONS = Rule('no-annotations', 'training without any annotation',
                      'Choose another ann_file', refused=True)
NO_GROUND_TRUTH = Rule('no-ground-truth', 'evaluation without any annotation', 'Every AP is NaN')
SMALL_BOX = Rule('small-box', 'annotations with a side below 1 pixel or without area',
                 'Left out of training; ground truth in evaluation')
BOX_OUTSIDE = Rule('box-outside', 'annotations with a bbox outside their image',
                   'Left out of training; in evaluation never found')
BOX_OVERHANG = Rule('box-overhang', 'annotations whose bbox sticks out of the image by more than '
                    '1 pixel', 'Kept; Resize clips them, other transforms do not')
EMPTY_IMAGE = Rule('empty-image', 'images without an annotation',
                   'Left out of training by filter_empty_gt, else drawn and dropped by DropEmptyGT')
EMPTY_CATEGORY = Rule('empty-category', 'categories without an image',
                      'Kept, with counts of 0; in evaluation its AP is NaN and not in the mean')
ID_GAPS = Rule('id-gaps', 'categories whose ids are not consecutive',
               'Handled: a label is the position in the list')
ID_0 = Rule('id-0', 'records with the id 0', 'Handled as any other')

RULES = (BAD_ID, DUPLICATE_ID, UNKNOWN_IMAGE, UNKNOWN_CATEGORY, BAD_IMAGE, BAD_BOX, NEGATIVE_BOX,
         NO_ANNOTATIONS, NO_GROUND_TRUTH, SMALL_BOX, BOX_OUTSIDE, BOX_OVERHANG, EMPTY_IMAGE,
         EMPTY_CATEGORY, ID_GAPS, ID_0)


def audit_annotations(data: dict, name_field: str, training: bool) -> list[Finding]:
    """Apply all rules to the content of an annotation file.

    Args:
        data: with lists 'images', 'annotations' (may be missing, as in a test set) and
            'categories', whose records have the fields of their format.
        name_field: the field of an image that its path is made from.
        training: whether the file is trained on.

    Returns:
        A finding for each rule that applies to a record, in the order of :data:`RULES`.
    """
    images, categories = data['images'], data['categories']
    annotations = data.get('annotations', [])
    # Of each annotation; several rules look at these.
    image_ids = [annotation['image_id'] for annotation in annotations]
    category_ids = [annotation['category_id'] for annotation in annotations]
    found = {rule: Finding(rule) for rule in RULES}
    for rule, examples in chain(
            _audit_ids('image', images),
            _audit_ids('annotation', annotations),
            _audit_ids('category', categories),
            _audit_categories(categories),
            _audit_references('image', images, annotations, image_ids),
            _audit_references('category', categories, annotations, category_ids),
            _audit_images(images, name_field),
            _audit_boxes(images, annotations, image_ids),
            [] if annotations else [(NO_ANNOTATIONS if training else NO_GROUND_TRUTH,
                                     ["the list 'annotations' is empty"])]):
        for example in examples:
            found[rule].add(example)
    return [finding for finding in found.values() if finding.count]


def refuse(findings: Iterable[Finding], ann_file: str | PathLike) -> None:
    """Raise a ``ValueError`` that names each finding of a refused rule, if there is any."""
    refused = [f'  {finding}' for finding in findings if finding.rule.refused]
    if refused:
        raise ValueError('\n'.join([f'Annotation file {ann_file} is refused:', *refused,
                                    '`python -m bacl.check data CONFIG` lists all that is wrong.']))


def summarise(data: dict, findings: Iterable[Finding], ann_file: str | PathLike) -> str:
    """What a file holds and what was counted, for the log."""
    sizes = ', '.join(f'{len(data.get(section, []))} {section}'
                      for section in ('images', 'annotations', 'categories'))
    return '\n'.join([f'{ann_file}: {sizes}.', *(f'  {finding}' for finding in findings)])


_Applied = Iterator[tuple[Rule, Iterable[str]]]


def _audit_ids(kind: str, records: Sequence[dict]) -> _Applied:
    ids = [record['id'] for record in records]
    whole = _whole(ids)
    if len(whole) < len(ids):
        yield BAD_ID, (f'{kind} {i!r}' for i in ids if type(i) is not int)
    yield DUPLICATE_ID, (f'{kind} {i}' for i in _repeated(whole))
    yield ID_0, [f'{kind} 0'] * (0 in whole)


def _audit_categories(categories: Sequence[dict]) -> _Applied:
    names = [str(category['name']) for category in categories]
    yield DUPLICATE_ID, (f'category {name!r}' for name in _repeated(names))
    ids = [category['id'] for category in categories]
    if len(_whole(ids)) == len(ids) and ids != list(range(ids[0], ids[0] + len(ids))):
        yield ID_GAPS, [f'{str(ids[:NUM_EXAMPLES])[1:-1]}{", ..." * (len(ids) > NUM_EXAMPLES)}']


def _audit_references(kind: str, records: Sequence[dict], annotations: Sequence[dict],
                      referred: list) -> _Applied:
    """The images or categories that annotations refer to, and that nothing refers to."""
    known = {record['id']: record for record in records if type(record['id']) is int}
    whole = _whole(referred)
    used = set(whole)
    if len(whole) < len(referred) or not known.keys() >= used:
        unknown = UNKNOWN_IMAGE if kind == 'image' else UNKNOWN_CATEGORY
        yield unknown, (f'annotation {a["id"]!r} of {kind} {i!r}'
                        for a, i in zip(annotations, referred, strict=True)
                        if type(i) is not int or i not in known)
    if annotations:
        empty = EMPTY_IMAGE if kind == 'image' else EMPTY_CATEGORY
        yield empty, (f'{kind} {i}' + (f' {record["name"]!r}' if 'name' in record else '')
                      for i, record in known.items() if i not in used)


def _whole(values: list) -> list[int]:
    """Those that are whole numbers; looking at the types first is fast when all are."""
    return values if set(map(type, values)) <= {int} else [v for v in values if type(v) is int]


def _repeated(values: Sequence) -> Iterable:
    if len(set(values)) == len(values):
        return ()
    return (value for value, count in Counter(values).items() if count > 1)


def _audit_images(images: Sequence[dict], name_field: str) -> _Applied:
    yield BAD_IMAGE, (f'image {image["id"]!r}: {image[name_field]!r}, {image["width"]!r} x '
                      f'{image["height"]!r}' for image in images
                      if is_bad_image(image, name_field))


def is_bad_image(image: dict, name_field: str) -> bool:
    """Whether :data:`BAD_IMAGE` applies to a record of an image.

    Args:
        image: the record.
        name_field: its field that the path is made from.
    """
    name = image[name_field]
    return not (isinstance(name, str) and name and _has_size(image))


def _has_size(image: dict) -> bool:
    return all(isinstance(image[side], int | float) and 0 < image[side] < float('inf')
               for side in ('width', 'height'))


def _audit_boxes(images: Sequence[dict], annotations: Sequence[dict],
                 image_ids: list) -> _Applied:
    """Every annotation under the first rule that applies."""
    boxes = _as_numbers([a['bbox'] for a in annotations], 4)  # (A, 4), x, y, w, h
    areas = _as_numbers([(a['area'], ) for a in annotations], 1)[:, 0]
    unknown = (np.nan, np.nan)  # compares as False: none of the rules about the image applies
    size_of = {image['id']: (image['width'], image['height']) for image in images
               if type(image['id']) is int and _has_size(image)}
    if len(_whole(image_ids)) < len(image_ids):
        image_ids = [i if type(i) is int else None for i in image_ids]
    sizes = np.array([size_of.get(i, unknown) for i in image_ids]).reshape(-1, 2)  # (A, 2), w, h
    with np.errstate(invalid='ignore'):  # infinities, which are bad boxes
        low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]  # (A, 2), x, y
        overlap = np.minimum(high, sizes) - np.maximum(low, 0)
    left = np.ones(len(annotations), dtype=bool)
    for rule, applies in (
            (BAD_BOX, ~(np.isfinite(boxes).all(1) & np.isfinite(areas))),
            (NEGATIVE_BOX, (boxes[:, 2:] < 0).any(1)),
            (SMALL_BOX, (boxes[:, 2:] < 1).any(1) | (areas <= 0)),
            (BOX_OUTSIDE, (overlap <= 0).any(1)),
            (BOX_OVERHANG, ((low < -1) | (high > sizes + 1)).any(1))):
        positions = np.flatnonzero(left & applies)
        left &= ~applies
        yield rule, (_describe(annotations[i]) for i in positions)


def _describe(annotation: dict) -> str:
    return (f'annotation {annotation["id"]!r} of image {annotation["image_id"]!r}: bbox '
            f'{annotation["bbox"]}, area {annotation["area"]}')


def _as_numbers(rows: list, length: int) -> np.ndarray:
    """Rows of numbers as (N, length), float64; a row that is something else becomes NaN."""
    def is_row(row: object) -> bool:
        return isinstance(row, list | tuple) and len(row) == length and all(
            type(value) in (int, float) for value in row)

    is_plain = (set(map(type, rows)) <= {list, tuple} and set(map(len, rows)) == {length}
                and set(map(type, chain.from_iterable(rows))) <= {int, float})
    if not is_plain:
        rows = [row if is_row(row) else [np.nan] * length for row in rows]
    values = np.fromiter(chain.from_iterable(rows), np.float64, len(rows) * length)
    return values.reshape(-1, length)
