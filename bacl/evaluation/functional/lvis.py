"""LVIS average precision: federated rules, and groups of rare, common and frequent categories.

Matching and interpolation are those of faster-coco-eval (C++). What it does not do is done here:
the cap of detections per image, the dropping of empty regions, and evaluation in small portions.
"""
from collections.abc import Sequence
from os import PathLike

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from .detections import Detections, load_records
from .lvis_annotations import load_lvis_annotations
from .lvis_result import AREAS, IOU_THRS, LVISResult

_NUM_RECALLS = 101


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
        ValueError: if the annotations are not LVIS, or detections lack fields or belong to unknown
            images or categories.

    Reference:
        Gupta et al., "LVIS: A Dataset for Large Vocabulary Instance Segmentation",
        arXiv:1908.03195, section 2 and appendix.
    """
    if isinstance(detections, str | PathLike):
        detections = load_records(detections)
    return evaluate_detections(
        load_lvis_annotations(ann_file, with_masks=iou_type == 'segm'),
        Detections.from_records(detections, iou_type),
        iou_type=iou_type,
        max_dets=max_dets).summary()


def evaluate_detections(annotations: dict,
                        detections: Detections,
                        iou_type: str = 'bbox',
                        max_dets: int = 300,
                        chunk_size: int = 16) -> LVISResult:
    """Evaluate detections as LVIS does, with the precision of every category.

    Args:
        annotations: what :func:`load_lvis_annotations` returns, with masks for 'segm'. Not changed.
        detections: those of all images.
        iou_type: 'bbox' or 'segm'; the kind of ``detections.region``.
        max_dets: largest number of detections of one image, over all categories, >= 1.
        chunk_size: categories evaluated at once, >= 1. More take more memory (all of LVIS v1 val at
            once would take some 24 GB); the result is the same.

    Returns:
        The precision of every category, from which AP, APr and so on are read.

    Raises:
        ValueError: if a detection belongs to an unknown image or category, or an argument is out
            of range.
    """
    if not isinstance(chunk_size, int) or chunk_size < 1:
        raise ValueError(f'evaluate_detections(chunk_size=) expects a positive int, '
                         f'got {chunk_size}.')
    images = {image['id']: image for image in annotations['images']}
    categories = sorted(annotations['categories'], key=lambda category: category['id'])
    category_ids = np.array([category['id'] for category in categories], dtype=np.int64)
    _check_known('image_id', detections.image_id, list(images))
    _check_known('category_id', detections.category_id, category_ids)

    # lvis-api leaves out regions without area, of both kinds, once the cap has been applied.
    ground_truth = [gt for gt in annotations['annotations'] if 0 < gt['area'] < np.inf]
    detections = detections.top_scoring_per_image(max_dets)
    detections = detections[(detections.area > 0) & (detections.area < np.inf)]
    detections = detections[_is_labelled(detections, ground_truth, images)]

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
            detections[np.isin(detections.category_id, chunk)], iou_type, max_dets)
    return LVISResult(precision, categories)


def _check_known(field: str, ids: np.ndarray, known: Sequence[int]) -> None:
    unknown = np.setdiff1d(ids, known).tolist()
    if unknown:
        shown = ', '.join(map(str, unknown[:10])) + (', ...' if len(unknown) > 10 else '')
        raise ValueError(f'evaluate_detections(detections=) expects every {field} to be in the '
                         f'annotations, got {len(unknown)} unknown: {shown}.')


def _is_labelled(detections: Detections, ground_truth: list[dict],
                 images: dict[int, dict]) -> np.ndarray:
    """Whether it is known if the category of each detection is in its image: (N,), bool.

    Of 300 detections in an image, LVIS has labels for a few. The engine drops the others, too, but
    only once each is a Python object; and with masks it fails on images where it drops all.
    """
    labelled = {(gt['image_id'], gt['category_id']) for gt in ground_truth}
    labelled.update((image_id, category_id) for image_id, image in images.items()
                    for category_id in image['neg_category_ids'])
    pairs = zip(detections.image_id.tolist(), detections.category_id.tolist(), strict=True)
    return np.fromiter((pair in labelled for pair in pairs), dtype=bool, count=len(detections))


def _precision(images: dict[int, dict], categories: list[dict], ground_truth: list[dict],
               detections: Detections, iou_type: str, max_dets: int) -> np.ndarray:
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
            'area': -1 if gt.get('ignore') else gt['area'],
            'iscrowd': 0,
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
        lvis_style=True)
    evaluation.params.maxDets = [max_dets]
    evaluation.evaluate()
    precision = np.asarray(evaluation.eval['precision'])[..., 0]  # (10, 101, C, 4)
    return np.where(precision < 0, np.nan, precision)


def _quiet_coco(images: list[dict], annotations: list[dict], categories: list[dict]) -> COCO:
    return COCO({'images': images, 'annotations': annotations, 'categories': categories},
                print_function=_ignore)


def _ignore(*_: object) -> None:
    """Take the engine's progress messages."""
