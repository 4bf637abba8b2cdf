"""LVIS average precision: federated rules, and groups of rare, common and frequent categories.

What :mod:`.precision` does not do is done here: the caps on the number of detections and the
dropping of empty regions and of detections without a label.
"""
from collections.abc import Sequence
from os import PathLike

import numpy as np

from .arguments import check_iou_type
from .detections import FIXED_AP_DETECTIONS, Detections
from .federated_labels import FederatedLabels
from .frequency_groups import FREQUENCIES
from .ground_truth import GroundTruth
from .grouped_result import GroupedResult
from .lvis_annotations import load_exhaustive_annotations, load_lvis_annotations
from .lvis_result import LVISResult
from .pooled_result import PooledResult
from .precision import precision_by_category
from .records import iterate_records


def evaluate_lvis(ann_file: str | PathLike,
                  detections: Sequence[dict] | str | PathLike,
                  iou_type: str = 'bbox',
                  max_dets: int = 300,
                  max_dets_per_class: int | None = None,
                  exhaustive_ann_file: str | PathLike | None = None) -> dict[str, float]:
    """Evaluate detections as LVIS does, and by what else is asked for.

    The numbers are those of lvis-api. In each image the ``max_dets`` highest scores over all
    categories count. A detection of a category that was neither annotated in the image nor listed
    in ``neg_category_ids`` is dropped; an unmatched one of a category in
    ``not_exhaustive_category_ids`` is ignored; there are no crowds. An image without detections
    counts as missed. Without any detection, APs are 0 where there is ground truth.

    Categories compete for the places in an image, so that AP rises with a ranking that favours
    rare ones. *Fixed AP* has no cap on an image, but one on each category over all images, for
    which categories do not compete. *Pooled AP* ranks these detections together, over all
    categories, and so rewards scores that mean the same in each. Both need a detector that gives
    many more than ``max_dets`` detections of an image.

    Args:
        ann_file: path of the LVIS annotations (JSON).
        detections: COCO result dicts with ``image_id``, ``category_id``, ``score`` and ``bbox``
            (x, y, w, h in pixels) or ``segmentation`` (compressed run-length encoding), or the path
            of their JSON file. Not changed. With 'segm', sizes are those of the boxes if there are
            any, otherwise of the masks.
        iou_type: 'bbox' or 'segm'.
        max_dets: largest number of detections of one image, >= 1.
        max_dets_per_class: largest number of detections of one category in fixed and pooled AP,
            over all images, >= 1, 10,000 in the paper; None leaves these out.
        exhaustive_ann_file: path of annotations of the same images and categories that say of each
            category whether it is in an image; None leaves the numbers by these labels out.

    Returns:
        AP, AP50, AP75, APs, APm, APl, APr, APc, APf in [0, 1], unrounded. Means over the categories
        with ground truth; NaN where there is no such category. With ``max_dets_per_class`` also
        ``fixed_AP`` and so on to ``fixed_APf``, and ``pooled_AP`` to ``pooled_APf``, which are no
        means: each has one curve of precision and recall, of all categories or of those of a group.
        With ``exhaustive_ann_file`` also ``exhaustive_AP`` to ``exhaustive_APf``, at ``max_dets``.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if the annotations are not LVIS or have nothing to find, the exhaustive ones do
            not label every category in every image, or detections lack fields, have something else
            in them, or belong to unknown images or categories; names file, record and field.

    Reference:
        Gupta et al., "LVIS: A Dataset for Large Vocabulary Instance Segmentation",
        arXiv:1908.03195, section 2 and appendix. Dave et al., "Evaluating Large-Vocabulary Object
        Detectors: The Devil is in the Details", arXiv:2102.01066.
    """
    source, with_masks = 'Detections', iou_type == 'segm'
    if isinstance(detections, str | PathLike):
        source, detections = f'Result file {detections}', iterate_records(detections)
    annotations = load_lvis_annotations(ann_file, with_masks)
    exhaustive = None if exhaustive_ann_file is None else load_exhaustive_annotations(
        exhaustive_ann_file, annotations, with_masks)
    found = Detections.from_records(detections, iou_type, source)
    found.check_fit(annotations, source)
    results = evaluate_all(annotations, found, iou_type, max_dets, max_dets_per_class, exhaustive)
    return {f'{prefix}{name}': value for prefix, result in results.items()
            for name, value in result.summary().items()}


def evaluate_all(annotations: dict,
                 detections: Detections,
                 iou_type: str = 'bbox',
                 max_dets: int = 300,
                 max_dets_per_class: int | None = None,
                 exhaustive: dict | None = None) -> dict[str, GroupedResult]:
    """Evaluate detections by all that :func:`evaluate_lvis` knows.

    Args:
        annotations: what :func:`load_lvis_annotations` returns, with masks for 'segm'. Not changed.
        detections: those of all images.
        iou_type: 'bbox' or 'segm'; the kind of ``detections.region``.
        max_dets: see :func:`evaluate_lvis`.
        max_dets_per_class: see there.
        exhaustive: what :func:`.lvis_annotations.load_exhaustive_annotations` returns.

    Returns:
        Per prefix of the names of its numbers, '' first, a result.

    Raises:
        ValueError: if a detection belongs to an unknown image or category, or an argument is out
            of range.
    """
    results = {'': evaluate_detections(annotations, detections, iou_type, max_dets)}
    if max_dets_per_class is not None:
        labels = _Labels(annotations, detections, iou_type)
        labelled = labels.of(detections, detections.top_scoring_per_class(max_dets_per_class))
        results['fixed_'] = labels.result(*labelled, max_dets_per_class)
        results['pooled_'] = labels.pooled_result(*labelled)
    if exhaustive is not None:
        results['exhaustive_'] = evaluate_detections(exhaustive, detections, iou_type, max_dets)
    return results


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
    labels = _Labels(annotations, detections, iou_type)
    return labels.result(*labels.of(detections, detections.top_scoring_per_image(max_dets)),
                         max_dets)


def evaluate_fixed(annotations: dict,
                   detections: Detections,
                   iou_type: str = 'bbox',
                   max_dets_per_class: int = FIXED_AP_DETECTIONS) -> LVISResult:
    """Evaluate detections by fixed AP; see :func:`evaluate_lvis`.

    Args:
        annotations: see :func:`evaluate_detections`.
        detections: those of all images.
        iou_type: 'bbox' or 'segm'.
        max_dets_per_class: largest number of detections of one category, over all images, >= 1. Of
            equal scores the earlier ones stay.

    Returns:
        The precision of every category.

    Raises:
        ValueError: see :func:`evaluate_detections`.
    """
    labels = _Labels(annotations, detections, iou_type)
    return labels.result(*labels.of(detections, detections.top_scoring_per_class(
        max_dets_per_class)), max_dets_per_class)


class _Labels:
    """Labels of LVIS, and the detections that they say something of."""

    def __init__(self, annotations: dict, detections: Detections, iou_type: str) -> None:
        check_iou_type(iou_type, 'evaluate_detections(iou_type=)')
        detections.check_fit(annotations)
        images = {image['id']: image for image in annotations['images']}
        self.categories = sorted(annotations['categories'], key=lambda category: category['id'])
        self.category_ids = [category['id'] for category in self.categories]
        self.ground_truth = GroundTruth.from_lvis(annotations['annotations'], images, iou_type)
        self.federated = FederatedLabels(images, self.category_ids, self.ground_truth)

    def of(self, detections: Detections, kept: np.ndarray) -> tuple[Detections, np.ndarray]:
        """Those kept of which is known whether they are right, and which are no errors."""
        # Of 300 detections in an image LVIS has labels for a few: the others are not copied.
        kept = kept[self.federated.is_labelled(detections.image_id[kept],
                                               detections.category_id[kept])]
        # lvis-api leaves out regions without area once the cap has been applied.
        area = detections.area[kept]
        found = detections[kept[(area > 0) & (area < np.inf)]]
        return found, self.federated.is_not_exhaustive(found.image_id, found.category_id)

    def result(self, detections: Detections, is_ignored_if_unmatched: np.ndarray,
               max_dets: int) -> LVISResult:
        """The precision of every category."""
        return LVISResult(
            precision_by_category(self.category_ids, self.ground_truth, detections, max_dets,
                                  is_ignored_if_unmatched), self.categories)

    def pooled_result(self, detections: Detections,
                      is_ignored_if_unmatched: np.ndarray) -> PooledResult:
        """The precision of all categories together, and of those of each group."""
        return PooledResult.of(self.category_ids, [c['frequency'] for c in self.categories],
                               FREQUENCIES, self.ground_truth, detections,
                               is_ignored_if_unmatched)
