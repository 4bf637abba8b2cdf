"""Precision of every category: matching and interpolation by faster-coco-eval (C++)."""
from collections.abc import Mapping, Sequence

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from .arguments import check_iou_type, check_positive_int
from .detections import Detections
from .grouped_result import AREAS, IOU_THRS

_NUM_RECALLS = 101


def precision_by_category(images: Mapping[int, dict],
                          categories: Sequence[dict],
                          ground_truth: Sequence[dict],
                          detections: Detections,
                          iou_type: str,
                          max_dets: int,
                          chunk_size: int,
                          lvis_style: bool) -> np.ndarray:
    """Interpolated precision, evaluated for a few categories at a time.

    Args:
        images: per id the record of an image.
        categories: C records, by rising id.
        ground_truth: annotations, with ``segmentation`` for 'segm'. Not changed; their ids mean
            nothing.
        detections: those of all images, which belong to these images and categories.
        iou_type: 'bbox' or 'segm'; the kind of ``detections.region``.
        max_dets: largest number of detections of one image and category, >= 1.
        chunk_size: categories evaluated at once, >= 1. More take more memory (all of LVIS v1 val at
            once would take some 24 GB); the result is the same.
        lvis_style: whether unmatched detections of a category in ``not_exhaustive_category_ids`` of
            the image are ignored, and ground truth with ``ignore``, too. If not, crowds
            (``iscrowd``) are ignored, with all detections inside them.

    Returns:
        (10, 101, C, 4); see :class:`.grouped_result.GroupedResult`.

    Raises:
        ValueError: if ``iou_type`` is unknown, or ``max_dets`` or ``chunk_size`` out of range.
    """
    check_iou_type(iou_type, 'precision_by_category(iou_type=)')
    check_positive_int(max_dets, 'precision_by_category(max_dets=)')
    check_positive_int(chunk_size, 'precision_by_category(chunk_size=)')
    category_ids = np.array([category['id'] for category in categories], dtype=np.int64)
    by_category = {}
    for gt in ground_truth:
        by_category.setdefault(gt['category_id'], []).append(gt)
    # A category without ground truth has no precision, whatever was detected.
    evaluated = sorted(by_category)
    precision = np.full((len(IOU_THRS), _NUM_RECALLS, len(categories), len(AREAS)), np.nan)
    for start in range(0, len(evaluated), chunk_size):
        chunk = evaluated[start:start + chunk_size]
        indices = np.searchsorted(category_ids, chunk)
        precision[:, :, indices] = _precision(
            images, [categories[i] for i in indices],
            [gt for category_id in chunk for gt in by_category[category_id]],
            detections[np.isin(detections.category_id, chunk)], iou_type, max_dets, lvis_style)
    return precision


def _precision(images: Mapping[int, dict], categories: list[dict], ground_truth: list[dict],
               detections: Detections, iou_type: str, max_dets: int,
               lvis_style: bool) -> np.ndarray:
    """Interpolated precision of a few categories: (10, 101, C, 4), -1 replaced by NaN."""
    # The engine writes into what it gets and reads marks of earlier runs: it gets new dicts only.
    # Ids are counted from 1 because it takes 0 for "not matched".
    gts = []
    for index, gt in enumerate(ground_truth, start=1):
        gts.append({
            'id': index,
            'image_id': gt['image_id'],
            'category_id': gt['category_id'],
            'bbox': gt['bbox'],
            # The engine knows only crowds to ignore, and LVIS has none. An area outside of every
            # range has the wanted effect: the object is ignored, and takes one detection with it.
            'area': -1 if lvis_style and gt.get('ignore') else gt['area'],
            'iscrowd': 0 if lvis_style else gt.get('iscrowd', 0),
        })
        if iou_type == 'segm':
            gts[-1]['segmentation'] = gt['segmentation']
    region_key = 'bbox' if iou_type == 'bbox' else 'segmentation'
    dts = [{
        'id': index,
        'image_id': image_id,
        'category_id': category_id,
        'score': score,
        'area': area,
        region_key: region,
    } for index, (image_id, category_id, score, area, region) in enumerate(
        zip(detections.image_id.tolist(), detections.category_id.tolist(),
            detections.score.tolist(), detections.area.tolist(), detections.region.tolist(),
            strict=True), start=1)]
    # Images where these categories neither are nor were found add nothing but memory.
    image_ids = {gt['image_id'] for gt in gts} | {dt['image_id'] for dt in dts}
    used_images = [images[image_id].copy() for image_id in sorted(image_ids)]

    evaluation = COCOeval_faster(
        _quiet_coco(used_images, gts, categories),
        _quiet_coco(used_images, dts, categories),
        iou_type,
        print_function=_ignore,
        lvis_style=lvis_style)
    evaluation.params.maxDets = [max_dets]
    evaluation.evaluate()
    precision = np.asarray(evaluation.eval['precision'])[..., 0]  # (10, 101, C, 4)
    return np.where(precision < 0, np.nan, precision)


def _quiet_coco(images: list[dict], annotations: list[dict], categories: list[dict]) -> COCO:
    return COCO({'images': images, 'annotations': annotations, 'categories': categories},
                print_function=_ignore)


def _ignore(*_: object) -> None:
    """Take the engine's progress messages."""
