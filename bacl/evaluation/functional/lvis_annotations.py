"""Reading of LVIS annotation files for evaluation."""
from os import PathLike

from bacl.annotations import read_annotations
from bacl.annotations.audit import check_annotations
from bacl.annotations.lvis import lvis_use


def load_lvis_annotations(ann_file: str | PathLike, with_masks: bool = False,
                          backend_args: dict | None = None) -> dict:
    """Read an LVIS annotation file for evaluation and check that it is one.

    Args:
        ann_file: path or URL of the JSON file. Every image lists its ``neg_category_ids`` and
            ``not_exhaustive_category_ids``; COCO annotations lack them.
        with_masks: whether masks are needed. If not, segmentations, the bulk of the file, are left
            out.
        backend_args: of mmengine's file backend; None finds the backend by the path.

    Returns:
        The content of the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is empty, not JSON or not LVIS, or a rule of
            :mod:`bacl.annotations.rules` refuses it; names the file, the field and one record.
    """
    data = read_annotations(ann_file, backend_args)
    check_annotations(data, ann_file, lvis_use(purpose='evaluation', masks=with_masks))
    return data if with_masks else without_masks(data)


def load_exhaustive_annotations(ann_file: str | PathLike, federated: dict,
                                with_masks: bool = False,
                                backend_args: dict | None = None) -> dict:
    """Read annotations that say of every category whether it is in an image.

    Args:
        ann_file: path or URL of the JSON file, LVIS.
        federated: content of the annotation file that labels the same images in part.
        with_masks: see :func:`load_lvis_annotations`.
        backend_args: see there.

    Returns:
        The content of the file.

    Raises:
        FileNotFoundError: see :func:`load_lvis_annotations`.
        ValueError: also if the file has other images or categories, or lacks a label; names the
            file and an image or a category.
    """
    data = load_lvis_annotations(ann_file, with_masks, backend_args)
    source = f'Annotation file {ann_file} is not the exhaustive one'
    for section, fields in (('images', ('id', )), ('categories', ('id', 'frequency'))):
        ours, theirs = ([tuple(record[field] for field in fields) for record in of[section]]
                        for of in (federated, data))
        differing = sorted(set(ours) ^ set(theirs))
        if ours != theirs:
            what = f'id {differing[0][0]} is in one only' if differing else 'in another order'
            raise ValueError(f'{source}: its {section!r} are others than in the annotation file '
                             f'beside it ({what}). Give two files of one dataset.')
    category_ids = {category['id'] for category in data['categories']}
    labelled = {image['id']: set(image['neg_category_ids']) for image in data['images']}
    for annotation in data['annotations']:
        labelled[annotation['image_id']].add(annotation['category_id'])
    for image in data['images']:
        unknown = (category_ids - labelled[image['id']]).union(image['not_exhaustive_category_ids'])
        if unknown:
            raise ValueError(
                f'{source}: image {image["id"]} has {len(unknown)} categories that are neither '
                "annotated exhaustively nor in 'neg_category_ids', for instance "
                f'{min(unknown)}. Leave exhaustive_ann_file out for a dataset with LVIS\'s labels.')
    return data


def without_masks(data: dict) -> dict:
    """The content of a file, of whose annotations the segmentations have been removed."""
    for annotation in data['annotations']:
        annotation.pop('segmentation', None)
    return data
