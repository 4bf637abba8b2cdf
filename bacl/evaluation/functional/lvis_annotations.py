"""Reading of LVIS annotation files, strict about the fields that federated evaluation needs."""
from os import PathLike

from bacl.annotations.files import (
    check_structure,
    not_lvis,
    read_annotations,
    record_name,
)

# Without them an evaluation would still run, but detections of categories that were never looked
# for would count as right or wrong. COCO annotations lack them.
_FEDERATED_FIELDS = ('neg_category_ids', 'not_exhaustive_category_ids')


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
    sizes, masks = (('height', 'width'), ('segmentation', )) if with_masks else ((), ())
    check_structure(data, {
        'images': ('id', *_FEDERATED_FIELDS, *sizes),
        'annotations': ('image_id', 'category_id', 'bbox', 'area', *masks),
        'categories': ('id', 'frequency'),
    }, ann_file)
    image_ids = _unique_ids(data, 'images', ann_file)
    category_ids = _unique_ids(data, 'categories', ann_file)
    for image in data['images']:
        for field in _FEDERATED_FIELDS:
            if not isinstance(image[field], list):
                raise not_lvis(ann_file, f'{field!r} of image {image["id"]} is no list')
    for index, annotation in enumerate(data['annotations']):
        for field, known in (('image_id', image_ids), ('category_id', category_ids)):
            if annotation[field] not in known:
                raise not_lvis(ann_file, f"{record_name(annotation, index)} of its 'annotations' "
                               f'has the {field!r} {annotation[field]!r}, which it does not list')
        if not with_masks:
            annotation.pop('segmentation', None)
    return data


def _unique_ids(data: dict, section: str, ann_file: str | PathLike) -> set[int]:
    ids = set()
    for index, record in enumerate(data[section]):
        if not isinstance(record['id'], int):
            raise not_lvis(ann_file, f"'id' of number {index} of its {section!r} is no integer")
        if record['id'] in ids:
            raise not_lvis(ann_file, f'its {section!r} have the id {record["id"]} twice')
        ids.add(record['id'])
    return ids
