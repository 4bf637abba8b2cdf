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


def without_masks(data: dict) -> dict:
    """The content of a file, of whose annotations the segmentations have been removed."""
    for annotation in data['annotations']:
        annotation.pop('segmentation', None)
    return data
