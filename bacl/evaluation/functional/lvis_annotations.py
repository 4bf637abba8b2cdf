"""Reading of LVIS annotation files, strict about the fields that federated evaluation needs."""
from os import PathLike

from bacl.annotations.files import RecordChecker, read_annotations
from bacl.annotations.lvis import check_frequencies

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
    checker = RecordChecker('LVIS', ann_file)
    checker.check_lists(data, {
        'images': ('id', *_FEDERATED_FIELDS, *sizes),
        'annotations': ('image_id', 'category_id', 'bbox', 'area', *masks),
        'categories': ('id', 'frequency'),
    })
    check_frequencies(data['categories'], ann_file)
    for section in ('images', 'categories'):
        for index, record in enumerate(data[section]):
            if not isinstance(record['id'], int):
                raise checker.error(f"'id' of number {index} of its {section!r} is no integer")
        checker.check_unique(section, data[section], 'id')
    for image in data['images']:
        for field in _FEDERATED_FIELDS:
            if not isinstance(image[field], list):
                raise checker.error(f'{field!r} of image {image["id"]} is no list')
    checker.check_references(data)
    if not with_masks:
        for annotation in data['annotations']:
            annotation.pop('segmentation', None)
    return data
