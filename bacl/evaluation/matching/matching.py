"""Precision of a category: matching and interpolation by faster-coco-eval (C++)."""
from dataclasses import dataclass

import numpy as np
from bacl.annotations.cycle_collection import no_cycle_collection
from faster_coco_eval import COCO, COCOeval_faster

from .encoded_masks import EncodedMasks

NUM_IOUS, NUM_RECALLS, NUM_AREAS = 10, 101, 4

Columns = dict[str, np.ndarray | EncodedMasks]


@dataclass(frozen=True)
class Matching:
    """The ground truth and the detections of C categories, sorted by category.

    The regions of both are (N, 4) float64 boxes (x, y, w, h), or both :class:`EncodedMasks`.

    Args:
        objects: ``image_id`` int64, ``area`` float64, ``is_crowd`` bool and ``region`` of the
            ground truth. The area decides for which sizes an object counts; one that is negative
            counts for none and takes one detection with it.
        object_offsets: (C + 1,), int64; the objects of category c are those from
            ``object_offsets[c]`` to before ``object_offsets[c + 1]``.
        detections: ``image_id`` int64, ``score`` float64, ``area`` float64,
            ``is_ignored_if_unmatched`` bool and ``region``; of equal scores in an image the earlier
            comes first.
        detection_offsets: (C + 1,), int64.
        max_dets: largest number of detections of one image and category.
    """
    objects: Columns
    object_offsets: np.ndarray
    detections: Columns
    detection_offsets: np.ndarray
    max_dets: int

    def precision(self) -> np.ndarray:
        """Interpolated precision of all categories, evaluated one at a time.

        One at a time, because the engine's memory grows with images times categories, whereas most
        categories occur in few images. Its Python objects take about 1.5 kB for each object and
        detection. Several processes would not pay: of LVIS val, one takes half a minute.

        Returns:
            (10, 101, C, 4), at the IoU thresholds 0.50, ..., 0.95, the recalls 0, ..., 1 and for
            objects of all, small, medium and large area; NaN where there are none.
        """
        precision = np.full(
            (NUM_IOUS, NUM_RECALLS, len(self.object_offsets) - 1, NUM_AREAS), np.nan)
        for category in np.flatnonzero(np.diff(self.object_offsets)).tolist():
            precision[:, :, category] = self._precision(category)
        return precision

    def _precision(self, category: int) -> np.ndarray:
        """(10, 101, 4), of a category with objects."""
        objects = _rows(self.objects, self.object_offsets, category)
        detections = _rows(self.detections, self.detection_offsets, category)
        images, object_images, detection_images = _images(objects, detections)
        with no_cycle_collection():
            evaluation = COCOeval_faster(
                _coco(images, _object_records(objects, object_images)),
                _coco(images, _detection_records(detections, detection_images)),
                'segm' if isinstance(objects['region'], EncodedMasks) else 'bbox',
                print_function=_ignore,
                lvis_style=True)
            # The engine reserves memory for so many in every image.
            most = int(np.bincount(detection_images, minlength=1).max())
            evaluation.params.maxDets = [max(min(self.max_dets, most), 1)]
            evaluation.evaluate()
        precision = np.asarray(evaluation.eval['precision'])[:, :, 0, :, 0]
        return np.where(precision < 0, np.nan, precision)


def _rows(columns: Columns, offsets: np.ndarray, category: int) -> Columns:
    rows = slice(int(offsets[category]), int(offsets[category + 1]))
    return {name: column[rows] for name, column in columns.items()}


def _images(objects: Columns, detections: Columns) -> tuple[list[dict], list[int], list[int]]:
    """Images where the category, to the engine number 1, is or was found.

    Every pair of image and category is listed as looked for: others have been left out before. To
    the engine an image is exhaustively annotated for a category or not, so the flag of one
    detection is that of all in the image.

    Returns:
        The records of the images, the image of each object, and that of each detection. The engine
        takes no negative ids, so images have their rank for an id.
    """
    num_objects = len(objects['image_id'])
    image_ids, first, rank = np.unique(
        np.concatenate([objects['image_id'], detections['image_id']]),
        return_index=True, return_inverse=True)
    images = [{'id': index, 'neg_category_ids': [1], 'not_exhaustive_category_ids': []}
              for index in range(len(image_ids))]
    object_images, detection_images = rank[:num_objects], rank[num_objects:]
    for index in np.unique(detection_images[detections['is_ignored_if_unmatched']]).tolist():
        images[index]['not_exhaustive_category_ids'].append(1)
    if isinstance(objects['region'], EncodedMasks):
        sizes = np.concatenate([objects['region'].sizes, detections['region'].sizes])[first]
        for image, (height, width) in zip(images, sizes.tolist(), strict=True):
            image.update(height=height, width=width)
    return images, object_images.tolist(), detection_images.tolist()


# Ids of records are counted from 1 because the engine takes 0 for "not matched".


def _object_records(objects: Columns, images: list[int]) -> list[dict]:
    region_key, regions = _regions(objects)
    return [{'id': index, 'image_id': image, 'category_id': 1, 'area': area,
             'iscrowd': int(is_crowd), region_key: region}
            for index, (image, area, is_crowd, region) in enumerate(
                zip(images, objects['area'].tolist(), objects['is_crowd'].tolist(), regions,
                    strict=True), start=1)]


def _detection_records(detections: Columns, images: list[int]) -> list[dict]:
    region_key, regions = _regions(detections)
    return [{'id': index, 'image_id': image, 'category_id': 1, 'score': score, 'area': area,
             region_key: region}
            for index, (image, score, area, region) in enumerate(
                zip(images, detections['score'].tolist(), detections['area'].tolist(), regions,
                    strict=True), start=1)]


def _regions(columns: Columns) -> tuple[str, list]:
    region = columns['region']
    return ('segmentation', list(region)) if isinstance(region, EncodedMasks) else \
        ('bbox', region.tolist())


def _coco(images: list[dict], records: list[dict]) -> COCO:
    return COCO({'images': images, 'annotations': records,
                 'categories': [{'id': 1, 'frequency': 'f'}]}, print_function=_ignore)


def _ignore(*_: object) -> None:
    """Take the engine's progress messages."""
