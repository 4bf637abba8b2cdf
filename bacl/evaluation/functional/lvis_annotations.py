"""Reading of LVIS annotation files, strict about the fields that federated evaluation needs."""
from os import PathLike

from bacl.datasets.annotations import FREQUENCIES, read_annotations

# What each kind of entry must hold. Without the federated fields an evaluation would still run, but
# detections of categories that were never looked for would count as right or wrong.
_FEDERATED_FIELDS = ('neg_category_ids', 'not_exhaustive_category_ids')
_ANNOTATION_FIELDS = ('image_id', 'category_id', 'bbox', 'area')


def load_lvis_annotations(ann_file: str | PathLike, with_masks: bool = False) -> dict:
    """Read an LVIS annotation file and check that it is one.

    Checked: ``images``, ``annotations`` and ``categories`` are there; every image lists its
    ``neg_category_ids`` and ``not_exhaustive_category_ids``; every category has a ``frequency`` of
    r, c or f; every annotation has a box, an area and refers to a known image and category; ids of
    images and categories occur once.

    Args:
        ann_file: path of the JSON file.
        with_masks: whether masks are needed. If so, every annotation must have a ``segmentation``
            and every image its ``height`` and ``width``; if not, segmentations, the bulk of the
            file, are left out.

    Returns:
        The content of the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is empty, not JSON or not LVIS; names the file, the field and one
            entry that lacks it.
    """
    data = read_annotations(ann_file)
    if not isinstance(data, dict) or not all(
            isinstance(data.get(key), list) for key in ('images', 'annotations', 'categories')):
        raise ValueError('load_lvis_annotations(ann_file=) expects LVIS annotations with the lists '
                         f'images, annotations and categories, got {ann_file}.')
    image_ids = _unique_ids(data, 'images', ann_file)
    category_ids = _unique_ids(data, 'categories', ann_file)
    image_fields = ('height', 'width') if with_masks else ()
    annotation_fields = _ANNOTATION_FIELDS + (('segmentation', ) if with_masks else ())
    if not with_masks:
        for annotation in data['annotations']:
            annotation.pop('segmentation', None)
    for image in data['images']:
        for field in _FEDERATED_FIELDS:
            if not isinstance(image.get(field), list):
                _refuse(ann_file, f'the list {field} for every image',
                        f'image {image["id"]} without it',
                        'COCO annotations lack it; take the LVIS file of the data set.')
        for field in image_fields:
            if field not in image:
                _refuse(ann_file, f'{field} for every image', f'image {image["id"]} without it')
    for category in data['categories']:
        if category.get('frequency') not in FREQUENCIES:
            _refuse(ann_file, f'a frequency in {FREQUENCIES} for every category',
                    f'category {category["id"]} with {category.get("frequency")}')
    for index, annotation in enumerate(data['annotations']):
        for field in annotation_fields:
            if field not in annotation:
                _refuse(ann_file, f'{field} for every annotation', f'entry {index} without it')
        if annotation['image_id'] not in image_ids:
            _refuse(ann_file, 'annotations of images that it lists',
                    f'entry {index} with image_id {annotation["image_id"]}')
        if annotation['category_id'] not in category_ids:
            _refuse(ann_file, 'annotations of categories that it lists',
                    f'entry {index} with category_id {annotation["category_id"]}')
    return data


def _unique_ids(data: dict, key: str, ann_file: str | PathLike) -> set[int]:
    ids = set()
    for index, entry in enumerate(data[key]):
        if not isinstance(entry, dict) or not isinstance(entry.get('id'), int):
            _refuse(ann_file, f'an integer id for each of its {key}', f'entry {index} without it')
        if entry['id'] in ids:
            _refuse(ann_file, f'{key} with different ids', f'id {entry["id"]} twice')
        ids.add(entry['id'])
    return ids


def _refuse(ann_file: str | PathLike, expected: str, got: str, cure: str = '') -> None:
    raise ValueError(f'load_lvis_annotations(ann_file=) expects {expected}, got {got} in '
                     f'{ann_file}. {cure}'.rstrip())
