"""LVIS average precision as a metric of MMEngine's evaluator."""
import logging
import math
from collections.abc import Sequence

from bacl.annotations.class_table import COCO_LT_GROUP
from bacl.annotations.coco import coco_class_table
from mmdet.registry import METRICS
from mmengine.logging import print_log

from ..functional import (
    FIXED_AP_DETECTIONS,
    Detections,
    GroupedResult,
    evaluate_all,
    evaluate_fixed,
    load_exhaustive_annotations,
    load_lvis_annotations,
)
from ..functional.arguments import check_positive_int
from .grouped_ap_metric import GroupedAPMetric
from .predictions import Predictions

# With fixed AP, predictions that count for nothing are dropped when there are twice as many as
# counted the last time, but not before there are so many.
_DROP_FROM = 2_000_000


@METRICS.register_module()
class FastLVISMetric(GroupedAPMetric):
    """AP of boxes and masks by the rules of LVIS; see :func:`bacl.evaluation.evaluate_lvis`.

    Reports ``lvis/bbox_AP``, ``AP50``, ``AP75``, ``APs``, ``APm``, ``APl``, ``APr``, ``APc`` and
    ``APf``, the same with ``segm``, in [0, 1], unrounded; NaN where no category has ground truth.
    With ``max_dets_per_class`` also fixed AP, from ``lvis/bbox_fixed_AP`` to
    ``lvis/bbox_fixed_APf``, and pooled AP, from ``lvis/bbox_pooled_AP`` to
    ``lvis/bbox_pooled_APf``; with ``exhaustive_ann_file`` also AP by its labels, from
    ``lvis/bbox_exhaustive_AP`` to ``lvis/bbox_exhaustive_APf``.

    Memory grows with the number of predictions. With ``max_dets_per_class`` it has a bound however
    many predictions an image has: those which are neither among the ``max_dets`` of their image
    nor among the ``max_dets_per_class`` of their category so far are dropped from time to time.
    Pooled AP takes 1.6 kB more for each detection of which is known whether it is right.

    Args:
        max_dets: largest number of detections of one image, over all categories. The detector may
            give more: fixed and pooled AP count them.
        max_dets_per_class: largest number of detections of one category over all images in fixed
            and pooled AP, 10,000 in the paper; None leaves these out. The detector has to give many
            more than ``max_dets`` predictions of an image, which
            ``model.test_cfg.rcnn.max_per_img`` limits.
        exhaustive_ann_file: path or URL of annotations of the same images and categories in which
            every absent category is verified; None leaves the numbers by these out.
        drop_box_for_segm: whether the size of a detected mask, for APs, APm and APl, is its own
            area, as in mmdet's CocoMetric and in Detectron2, or that of its box, as in mmdet's
            LVISMetric. True by default, because LVIS measures annotated masks by their own area.
        *args: of :class:`.grouped_ap_metric.GroupedAPMetric`: ``ann_file``, ``metric``.
        **kwargs: of the same. Files of ``outfile_prefix`` are for
            :func:`bacl.evaluation.evaluate_lvis`; they lack the predictions that were dropped.

    Raises:
        FileNotFoundError: if ``ann_file`` or ``exhaustive_ann_file`` is missing.
        ValueError: if ``ann_file`` lacks a field that LVIS evaluation needs,
            ``exhaustive_ann_file`` has other images or categories or lacks a label, or an argument
            is not among the allowed.
    """
    default_prefix = 'lvis'
    benchmark = 'LVIS'
    cap_scope = 'an image'

    def __init__(self, *args, max_dets: int = 300, max_dets_per_class: int | None = None,
                 exhaustive_ann_file: str | None = None, drop_box_for_segm: bool = True,
                 **kwargs) -> None:
        super().__init__(*args, max_dets=max_dets, **kwargs)
        if max_dets_per_class is not None:
            check_positive_int(max_dets_per_class, 'FastLVISMetric(max_dets_per_class=)')
        self.max_dets_per_class = max_dets_per_class
        self.exhaustive = None if exhaustive_ann_file is None else load_exhaustive_annotations(
            exhaustive_ann_file, self.annotations, 'segm' in self.metrics,
            kwargs.get('backend_args'))
        self.drop_box_for_segm = drop_box_for_segm
        # A COCO-LT file made from one of LVIS has its own groups beside the frequencies.
        categories = [{field: value for field, value in category.items() if field != COCO_LT_GROUP}
                      for category in self.annotations['categories']]
        self.class_table = coco_class_table(dict(self.annotations, categories=categories), None)
        self.warn_of_empty_groups()

    def load_annotations(self, ann_file: str, with_masks: bool,
                         backend_args: dict | None) -> dict:
        """Read the LVIS annotations."""
        return load_lvis_annotations(ann_file, with_masks, backend_args)

    def is_object(self, annotation: dict) -> bool:
        """One that is ignored is none, nor is one without area; there are no crowds."""
        return not annotation.get('ignore') and 0 < annotation['area'] < math.inf

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep the predictions of a batch, and drop what counts for nothing."""
        if not self.results:
            self._num_kept, self._drop_at = 0, _DROP_FROM
        super().process(data_batch, data_samples)
        self._num_kept += len(self.results[-1].labels)
        if self.max_dets_per_class is not None and self._num_kept > self._drop_at:
            kept = Predictions.concatenate(self.results, type(self).__name__).without_beaten(
                self.max_dets, self.max_dets_per_class)
            self.results[:] = [kept]
            self._num_kept = len(kept.labels)
            self._drop_at = max(2 * self._num_kept, _DROP_FROM)

    def compute_metrics(self, results: Predictions) -> dict[str, float]:
        """Evaluate the predictions of all images; see the base."""
        most = results.num_objects.max(initial=0)
        if self.max_dets_per_class is not None and most <= self.max_dets:
            print_log(
                'FastLVISMetric(max_dets_per_class=) expects more than max_dets='
                f'{self.max_dets} predictions of an image, got at most {most}: fixed and pooled AP '
                'have the cap on the detections of an image that they are to do without. Raise '
                'model.test_cfg.rcnn.max_per_img.', logger='current', level=logging.WARNING)
        return super().compute_metrics(results)

    def evaluate_detections(self, detections: Detections,
                            iou_type: str) -> dict[str, GroupedResult]:
        """Evaluate as LVIS does, and by what else is asked for."""
        return evaluate_all(self.annotations, detections, iou_type, self.max_dets,
                            self.max_dets_per_class, self.exhaustive)

    def evaluate_fixed(self, detections: Detections, iou_type: str,
                       max_dets_per_class: int = FIXED_AP_DETECTIONS) -> GroupedResult:
        """Evaluate as LVIS does, without its cap."""
        return evaluate_fixed(self.annotations, detections, iou_type, max_dets_per_class)
