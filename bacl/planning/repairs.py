"""What tools for labelling write otherwise than COCO, put right where nothing is lost.

Every function changes the content of a file in place and says in words what it changed. What only
the author of a file can repair is left to the audit.
"""
from array import array
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
from bacl.annotations.audit import FREQUENCIES
from bacl.annotations.class_table import COCO_LT_GROUP, LVIS_GROUP
from bacl.annotations.columns import is_integer, number_rows
from bacl.annotations.splitting import COUNTS
from pycocotools import mask as coco_masks

# The native formats of tools, by a key that only they have.
_NATIVE_FORMATS = {
    '_via_img_metadata': 'a project of VIA. Export its annotations in COCO format',
    'shapes': 'of one image, by LabelMe. Convert its folder, with labelme2coco for instance',
    'videos': 'of videos. Convert it to images',
}
_LISTS = ('images', 'annotations', 'categories')


def check_format(data: Any, ann_file: Any) -> None:
    """Raise a ``ValueError`` that says what a file is instead of COCO, if one can tell."""
    if isinstance(data, list):
        raise ValueError(
            f'Annotation file {ann_file} is a list, not COCO, which is an object with the lists '
            f'{", ".join(map(repr, _LISTS))}. Export it in COCO format.')
    if isinstance(data, dict) and not all(isinstance(data.get(key), list) for key in _LISTS):
        for key, what in _NATIVE_FORMATS.items():
            if key in data:
                raise ValueError(f'Annotation file {ann_file} is {what}.')


def repair(data: dict, crowds_are_objects: bool = False) -> list[str]:
    """Put right what needs no image: ids, names, boxes, areas, masks.

    Args:
        data: content of a file in COCO or LVIS format, changed in place. What is not of its form
            stays as it is.
        crowds_are_objects: whether ``iscrowd`` 1 is taken for 0.

    Returns:
        Sentences without their full stop.
    """
    return [*_repair_ids(data), *_repair_categories(data),
            *_repair_flags(data), *_repair_crowds(data, crowds_are_objects), *_repair_masks(data),
            *_repair_boxes(data), *_repair_areas(_records(data, 'annotations'))]


def _records(data: dict, section: str) -> list[dict]:
    return [record for record in data[section] if isinstance(record, dict)]


def _repair_ids(data: dict) -> Iterator[str]:
    annotations = _records(data, 'annotations')
    for kind, section in (('image', 'images'), ('category', 'categories')):
        records = [record for record in _records(data, section) if 'id' in record]
        ids = [record['id'] for record in records]
        field = f'{kind}_id'
        referring = [annotation for annotation in annotations if field in annotation]
        if {*map(type, ids), *(type(annotation[field]) for annotation in referring)} <= {int}:
            continue
        plain = [_plain(value) for value in ids]
        if not all(isinstance(value, int | str) for value in plain) or \
                len(set(plain)) < len(plain):
            continue
        are_integers = all(map(is_integer, plain))
        new = plain if are_integers else range(1, len(plain) + 1)
        new_of = dict(zip(plain, new, strict=True))
        for record, value in zip(records, new, strict=True):
            record['id'] = value
        for annotation in referring:
            value = _plain(annotation[field])
            if isinstance(value, int | str):
                annotation[field] = new_of.get(value, annotation[field])
        how = 'read as whole numbers' if are_integers else \
            f'numbered from 1, as they are no numbers ({ids[0]!r}, ...)'
        yield f'ids of {section} are {how}'
    ids = [annotation.get('id') for annotation in annotations]
    if set(map(type, ids)) <= {int} and len(set(ids)) == len(ids):
        return
    missing, are_numbers = ids.count(None), all(map(is_integer, ids))
    why = f'{missing} have no id' if missing else \
        'several have the same id' if are_numbers else f'{ids[0]!r}, ... are no numbers'
    for annotation, number in zip(annotations, count(1)):
        annotation['id'] = number
    yield f'annotations are numbered from 1, as {why}'


def _plain(value: Any) -> Any:
    """The whole number that a value is meant as, if it is one."""
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None if isinstance(value, bool) else value


def _repair_categories(data: dict) -> Iterator[str]:
    categories = _records(data, 'categories')
    named = [category for category in categories if 'name' in category]
    numbers = [category for category in named if is_integer(category['name'])]
    for category in numbers:
        category['name'] = str(category['name'])
    if numbers:
        yield f'{len(numbers)} names of categories that are numbers are taken as text'
    used = {annotation.get('category_id') for annotation in _records(data, 'annotations')
            if isinstance(annotation.get('category_id'), int)}
    parents = {category.get('supercategory') for category in categories}
    dropped = [category for category in named if category.get('id') not in used and (
        category.get('supercategory') == 'none' and category['name'] in parents)]
    background = [category for category in named if category.get('id') not in used and
                  str(category['name']).strip('_').lower() == 'background']
    for left_out, why in (
            (dropped, 'stands for a group of others, as in files of Roboflow'),
            (background, 'no detector of this package has a class for the background')):
        if left_out and len(left_out) < len(data['categories']):
            data['categories'] = [category for category in data['categories']
                                  if not any(category is other for other in left_out)]
            names = ', '.join(repr(category['name']) for category in left_out)
            yield f'the category {names} is left out: it has no annotation, and {why}'
    words = [category for category in categories if LVIS_GROUP in category]
    if words and not any(category[LVIS_GROUP] in FREQUENCIES for category in words):
        for category in words:
            del category[LVIS_GROUP]
        yield f'the {LVIS_GROUP!r} of categories is left out: it is none of those of LVIS ' \
              f'({", ".join(FREQUENCIES)})'


def _repair_flags(data: dict) -> Iterator[str]:
    num_empty = 0
    for annotation in _records(data, 'annotations'):
        for name in ('iscrowd', 'ignore'):
            if annotation.get(name, 0) is None:
                annotation[name] = 0
                num_empty += 1
    if num_empty:
        yield f'{num_empty} flags (iscrowd, ignore) that are null are taken as 0'


def _repair_crowds(data: dict, are_objects: bool) -> Iterator[str]:
    crowds = [annotation for annotation in _records(data, 'annotations')
              if annotation.get('iscrowd')] if are_objects else []
    for annotation in crowds:
        annotation['iscrowd'] = 0
    if crowds:
        yield f'{len(crowds)} annotations with iscrowd 1 are taken as objects'


def _repair_masks(data: dict) -> Iterator[str]:
    num_flat = 0
    for annotation in _records(data, 'annotations'):
        mask = annotation.get('segmentation')
        if 'segmentation' in annotation and (mask is None or mask == [] or mask == [[]]):
            del annotation['segmentation']  # a box only, as most tools write it
        elif isinstance(mask, list) and all(map(_is_number, mask)):
            annotation['segmentation'] = [array('d', mask)]
            num_flat += 1
    if num_flat:
        yield f'{num_flat} masks that are a flat list of numbers are taken as one polygon'


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _repair_boxes(data: dict) -> Iterator[str]:
    sizes = {image.get('id'): (image.get('width'), image.get('height'))
             for image in _records(data, 'images') if isinstance(image.get('id'), int)}
    annotations = _records(data, 'annotations')
    num_text = num_made = 0
    for annotation in annotations:
        box = annotation.get('bbox')
        if isinstance(box, list) and any(isinstance(value, str) for value in box):
            numbers = [_as_number(value) for value in box]
            if None not in numbers:
                annotation['bbox'] = numbers
                num_text += 1
        elif not box and 'segmentation' in annotation:
            made = _box_of(annotation['segmentation'])
            if made is not None:
                annotation['bbox'] = made
                num_made += 1
    if num_text:
        yield f'{num_text} boxes that are written as text are read as numbers'
    if num_made:
        yield f'{num_made} annotations without a box get the one around their mask'
    yield from _scale_boxes(annotations, sizes)


def _scale_boxes(annotations: Sequence[dict], sizes: dict[int, tuple[int, int]]) -> Iterator[str]:
    """Boxes in parts of the image, as Azure Machine Learning writes them, in pixels."""
    boxes = number_rows([annotation.get('bbox') for annotation in annotations], 4)
    if not len(boxes) or np.isnan(boxes).any() or (boxes < 0).any() or \
            (boxes[:, :2] + boxes[:, 2:] > 1.001).any():
        return
    known = [sizes.get(annotation.get('image_id'), (None, None)) for annotation in annotations]
    if not all(is_integer(side) and side > 0 for size in known for side in size):
        return
    for annotation, box, (width, height) in zip(annotations, boxes.tolist(), known, strict=True):
        annotation['bbox'] = [box[0] * width, box[1] * height, box[2] * width, box[3] * height]
        annotation.pop('area', None)
        mask = annotation.get('segmentation')
        if isinstance(mask, list) and all(isinstance(polygon, array) for polygon in mask):
            for polygon in mask:
                points = np.frombuffer(polygon)
                if len(points) % 2 == 0 and points.max(initial=0) <= 1.001:
                    points[0::2] *= width
                    points[1::2] *= height
    yield f'{len(annotations)} boxes in parts of the image, from 0 to 1, are turned into pixels'


def _repair_areas(annotations: Sequence[dict]) -> Iterator[str]:
    num_text = num_areas = 0
    for annotation in annotations:
        area = _as_number(annotation['area']) if isinstance(annotation.get('area'), str) else None
        if area is not None:
            annotation['area'] = area
            num_text += 1
    if num_text:
        yield f'{num_text} areas that are written as text are read as numbers'
    areas = [annotation.get('area') for annotation in annotations]
    are_unknown = all(area is None or _is_number(area) and area <= 0 for area in areas)
    for annotation, known in zip(annotations, areas, strict=True):
        if known is not None and not are_unknown:  # a single 0 is one
            continue
        area = _area_of(annotation.get('segmentation'))
        box = annotation.get('bbox')
        if area is None and isinstance(box, list) and len(box) == 4 and all(map(_is_number, box)):
            area = box[2] * box[3]
        if area is not None:
            annotation['area'] = area
            num_areas += 1
    if num_areas:
        yield f'{num_areas} annotations without an area get that of their mask, or of their box'


def _as_number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _points(mask: Any) -> list[np.ndarray] | None:
    """The polygons of a mask: (n, 2) each; None if it is something else."""
    if not (isinstance(mask, list) and mask and all(
            isinstance(polygon, array) and len(polygon) % 2 == 0 and len(polygon) >= 6
            for polygon in mask)):
        return None
    return [np.frombuffer(polygon).reshape(-1, 2) for polygon in mask]


def _run_lengths(mask: Any) -> dict | None:
    """COCO's compressed form of a run-length encoding; None if it is none."""
    if not isinstance(mask, dict):
        return None
    try:
        if isinstance(mask['counts'], list):
            return coco_masks.frPyObjects(mask, *mask['size'])
        return {**mask, 'counts': mask['counts'].encode()}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _box_of(mask: Any) -> list[float] | None:
    polygons = _points(mask)
    if polygons is not None:
        points = np.concatenate(polygons)
        low, high = points.min(0), points.max(0)
        return [*low.tolist(), *(high - low).tolist()]
    runs = _run_lengths(mask)
    return None if runs is None else coco_masks.toBbox(runs).tolist()


def _area_of(mask: Any) -> float | None:
    polygons = _points(mask)
    if polygons is not None:  # by the shoelace formula; holes and overlaps are not looked at
        return sum(abs(float((x * np.roll(y, 1) - y * np.roll(x, 1)).sum())) / 2
                   for x, y in (polygon.T for polygon in polygons))
    runs = _run_lengths(mask)
    return None if runs is None else float(coco_masks.area(runs))


def align_categories(data: dict, train: dict, ann_file: Any, train_file: Any) -> list[str]:
    """Give the categories of a file for validation the ids and the order of those for training.

    Args:
        data: content of the file for validation, changed in place.
        train: content of the file for training.
        ann_file: of the first, for the message.
        train_file: of the second.

    Returns:
        Sentences without their full stop.

    Raises:
        ValueError: if it has categories, with annotations, that training has not.
    """
    ours, theirs = ([(c.get('id'), c.get('name')) for c in content['categories']]
                    for content in (data, train))
    if ours == theirs:
        return []
    used = {annotation.get('category_id') for annotation in data['annotations']}
    id_of = {name: category_id for category_id, name in theirs}
    unknown = [name for category_id, name in ours if name not in id_of and category_id in used]
    if unknown:
        more = ', ...' if len(unknown) > 5 else ''
        raise ValueError(
            f'{ann_file} has objects of {len(unknown)} categories that {train_file} does not list: '
            f'{", ".join(map(repr, unknown[:5]))}{more}. Use the same names in both, or split one '
            'file by --val-share.')
    new_of = {category_id: id_of[name] for category_id, name in ours if name in id_of}
    for annotation in data['annotations']:
        annotation['category_id'] = new_of.get(annotation['category_id'], annotation['category_id'])
    for image in data['images']:
        for field in ('neg_category_ids', 'not_exhaustive_category_ids'):
            if isinstance(image.get(field), list):
                image[field] = [new_of[i] for i in image[field] if i in new_of]
    # Those of LVIS are of the training set in every file.
    is_lvis = all(LVIS_GROUP in category for category in train['categories'])
    counts = () if is_lvis else (*COUNTS, COCO_LT_GROUP)
    data['categories'] = [{key: value for key, value in category.items() if key not in counts}
                          for category in train['categories']]
    return ['categories of validation get the ids and the order of training']

