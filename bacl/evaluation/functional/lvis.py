"""LVIS average precision: federated rules, and groups of rare, common and frequent categories.

What :mod:`.precision` does not do is done here: the cap of detections per image and the dropping of
empty regions and of detections without a label.
"""
from collections.abc import Sequence
from os import PathLike

import numpy as np

from .arguments import check_iou_type
from .detections import Detections
from .federated_labels import FederatedLabels
from .ground_truth import GroundTruth
from .lvis_annotations import load_lvis_annotations
from .lvis_result import LVISResult
from .precision import precision_by_category
from .records import iterate_records


def evaluate_lvis(ann_file: str | PathLike,
                  detections: Sequence[dict] | str | PathLike,
                  iou_type: str = 'bbox',
                  max_dets: int = 300) -> dict[str, float]:
    """Evaluate detections as LVIS does.

    The numbers are those of lvis-api. In each image the ``max_dets`` highest scores over all
    categories count. A detection of a category that was neither annotated in the image nor listed
    in ``neg_category_ids`` is dropped; an unmatched one of a category in
    ``not_exhaustive_category_ids`` is ignored; there are no crowds. An image without detections
    counts as missed. Without any detection, APs are 0 where there is ground truth.

    Args:
        ann_file: path of the LVIS annotations (JSON).
        detections: COCO result dicts with ``image_id``, ``category_id``, ``score`` and ``bbox``
            (x, y, w, h in pixels) or ``segmentation`` (compressed run-length encoding), or the path
            of their JSON file. Not changed. With 'segm', sizes are those of the boxes if there are
            any, otherwise of the masks.
        iou_type: 'bbox' or 'segm'.
        max_dets: largest number of detections of one image, >= 1.

    Returns:
        AP, AP50, AP75, APs, APm, APl, APr, APc, APf in [0, 1], unrounded. Means over the categories
        with ground truth; NaN where there is no such category.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if the annotations are not LVIS or have nothing to find, or detections lack
            fields, have something else in them, or belong to unknown images or categories; names
            file, record and field.

    Reference:
        Gupta et al., "LVIS: A Dataset for Large Vocabulary Instance Segmentation",
        arXiv:1908.03195, section 2 and appendix.
    """
    source = 'Detections'
    if isinstance(detections, str | PathLike):
        source, detections = f'Result file {detections}', iterate_records(detections)
    annotations = load_lvis_annotations(ann_file, with_masks=iou_type == 'segm')
    found = Detections.from_records(detections, iou_type, source)
    found.check_fit(annotations, source)
    return evaluate_detections(annotations, found, iou_type, max_dets).summary()


def evaluate_detections(annotations: dict,
                        detections: Detections,
                        iou_type: str = 'bbox',
                        max_dets: int = 300) -> LVISResult:
    """Evaluate detections as LVIS does, with the precision of every category.

    Args:
        annotations: what :func:`load_lvis_annotations` returns, with masks for 'segm'. Not changed.
        detections: those of all images.
        iou_type: 'bbox' or 'segm'; the kind of ``detections.region``.
        max_dets: largest number of detections of one image, over all categories, >= 1.

    Returns:
        The precision of every category, from which AP, APr and so on are read.

    Raises:
        ValueError: if a detection belongs to an unknown image or category, or an argument is out
            of range.
    """
    check_iou_type(iou_type, 'evaluate_detections(iou_type=)')
    images = {image['id']: image for image in annotations['images']}
    categories = sorted(annotations['categories'], key=lambda category: category['id'])
    category_ids = [category['id'] for category in categories]
    detections.check_fit(annotations)
    ground_truth = GroundTruth.from_lvis(annotations['annotations'], images, iou_type)
    labels = FederatedLabels(images, category_ids, ground_truth)

    # Of 300 detections in an image LVIS has labels for a few: the others are not copied.
    kept = detections.top_scoring_per_image(max_dets)
    kept = kept[labels.is_labelled(detections.image_id[kept], detections.category_id[kept])]
    # lvis-api leaves out regions without area once the cap has been applied.
    area = detections.area[kept]
    detections = detections[kept[(area > 0) & (area < np.inf)]]
    return LVISResult(
        precision_by_category(
            category_ids, ground_truth, detections, max_dets,
            labels.is_not_exhaustive(detections.image_id, detections.category_id)),
        categories)
