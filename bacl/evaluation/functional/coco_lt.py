"""Average precision by the rules of COCO, over groups of categories as in COCO-LT."""
from collections.abc import Sequence
from os import PathLike

from bacl.annotations import read_annotations
from bacl.annotations.audit import check_annotations
from bacl.annotations.coco import coco_use

from .arguments import check_iou_type
from .detections import FIXED_AP_DETECTIONS, Detections
from .ground_truth import GroundTruth
from .grouped_result import GroupedResult
from .lvis_annotations import without_masks
from .precision import precision_by_category


def load_coco_annotations(ann_file: str | PathLike, with_masks: bool = False,
                          backend_args: dict | None = None) -> dict:
    """Read a COCO annotation file for evaluation and check that it is one.

    Args:
        ann_file: path or URL of the JSON file.
        with_masks: whether masks are needed. If not, segmentations, the bulk of the file, are left
            out.
        backend_args: of mmengine's file backend; None finds the backend by the path.

    Returns:
        The content of the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is empty, not JSON or not COCO, or a rule of
            :mod:`bacl.annotations.rules` refuses it; names the file, the field and one record.
    """
    data = read_annotations(ann_file, backend_args)
    check_annotations(data, ann_file, coco_use(purpose='evaluation', masks=with_masks))
    return data if with_masks else without_masks(data)


def evaluate_coco_lt_detections(annotations: dict,
                                detections: Detections,
                                groups: Sequence[str],
                                group_names: Sequence[str],
                                iou_type: str = 'bbox',
                                max_dets: int = 100) -> GroupedResult:
    """Evaluate detections as COCO does, with the precision of every category.

    The numbers are those of pycocotools at ``max_dets``, except that an object whose annotation
    has the id 0 can be found. Crowds are neither to be found nor errors to find.

    Args:
        annotations: what :func:`load_coco_annotations` returns, with masks for 'segm'. Not changed.
        detections: those of all images.
        groups: of each category, in the order of the annotations.
        group_names: groups to report.
        iou_type: 'bbox' or 'segm'; the kind of ``detections.region``.
        max_dets: largest number of detections of one image and category, >= 1.

    Returns:
        The precision of every category, from which AP, AP1 and so on are read.

    Raises:
        ValueError: if a detection belongs to an unknown image or category, ``groups`` are not one
            for each category, or another argument is out of range.
    """
    check_iou_type(iou_type, 'evaluate_coco_lt_detections(iou_type=)')
    if len(groups) != len(annotations['categories']):
        raise ValueError('evaluate_coco_lt_detections(groups=) expects one group for each of the '
                         f'{len(annotations["categories"])} categories, got {len(groups)}.')
    images = {image['id']: image for image in annotations['images']}
    ranked = sorted(zip(annotations['categories'], groups, strict=True),
                    key=lambda pair: pair[0]['id'])
    categories = [category for category, _ in ranked]
    category_ids = [category['id'] for category in categories]
    detections.check_fit(annotations)
    ground_truth = GroundTruth.from_coco(annotations['annotations'], images, iou_type)
    precision = precision_by_category(category_ids, ground_truth, detections, max_dets)
    return GroupedResult(precision, categories, [group for _, group in ranked], group_names)


def evaluate_coco_lt_fixed(annotations: dict,
                           detections: Detections,
                           groups: Sequence[str],
                           group_names: Sequence[str],
                           iou_type: str = 'bbox',
                           max_dets_per_class: int = FIXED_AP_DETECTIONS) -> GroupedResult:
    """Evaluate detections as COCO does, by fixed AP; see :func:`.lvis.evaluate_lvis`.

    Args:
        annotations: see :func:`evaluate_coco_lt_detections`, as of the following.
        detections: those of all images.
        groups: of each category.
        group_names: groups to report.
        iou_type: 'bbox' or 'segm'.
        max_dets_per_class: largest number of detections of one category, over all images, >= 1.

    Returns:
        The precision of every category.

    Raises:
        ValueError: see :func:`evaluate_coco_lt_detections`.
    """
    kept = detections[detections.top_scoring_per_class(max_dets_per_class)]
    return evaluate_coco_lt_detections(annotations, kept, groups, group_names, iou_type,
                                       max_dets_per_class)
