"""LVIS average precision as a metric of MMEngine's evaluator."""
import math

from bacl.annotations.class_table import COCO_LT_GROUP
from bacl.annotations.coco import coco_class_table
from mmdet.registry import METRICS

from ..functional import Detections, LVISResult, evaluate_detections, load_lvis_annotations
from .grouped_ap_metric import GroupedAPMetric


@METRICS.register_module()
class FastLVISMetric(GroupedAPMetric):
    """AP of boxes and masks by the rules of LVIS; see :func:`bacl.evaluation.evaluate_lvis`.

    Reports ``lvis/bbox_AP``, ``AP50``, ``AP75``, ``APs``, ``APm``, ``APl``, ``APr``, ``APc`` and
    ``APf``, the same with ``segm``, in [0, 1], unrounded; NaN where no category has ground truth.

    Args:
        max_dets: largest number of detections of one image, over all categories.
        drop_box_for_segm: whether the size of a detected mask, for APs, APm and APl, is its own
            area, as in mmdet's CocoMetric and in Detectron2, or that of its box, as in mmdet's
            LVISMetric. True by default, because LVIS measures annotated masks by their own area.
        *args: of :class:`.grouped_ap_metric.GroupedAPMetric`: ``ann_file``, ``metric``.
        **kwargs: of the same. Files of ``outfile_prefix`` are for
            :func:`bacl.evaluation.evaluate_lvis`.

    Raises:
        FileNotFoundError: if ``ann_file`` is missing.
        ValueError: if ``ann_file`` lacks a field that LVIS evaluation needs, or an argument is not
            among the allowed.
    """
    default_prefix = 'lvis'
    benchmark = 'LVIS'
    cap_scope = 'an image'

    def __init__(self, *args, max_dets: int = 300, drop_box_for_segm: bool = True,
                 **kwargs) -> None:
        super().__init__(*args, max_dets=max_dets, **kwargs)
        self.drop_box_for_segm = drop_box_for_segm
        # A COCO-LT file made from one of LVIS has its own groups beside the frequencies.
        categories = [{field: value for field, value in category.items() if field != COCO_LT_GROUP}
                      for category in self.annotations['categories']]
        self.class_table = coco_class_table(dict(self.annotations, categories=categories), None)
        self.warn_of_empty_groups()

    def load_annotations(self, ann_file: str, with_masks: bool) -> dict:
        """Read the LVIS annotations."""
        return load_lvis_annotations(ann_file, with_masks)

    def is_object(self, annotation: dict) -> bool:
        """One that is ignored is none, nor is one without area; there are no crowds."""
        return not annotation.get('ignore') and 0 < annotation['area'] < math.inf

    def evaluate_detections(self, detections: Detections, iou_type: str) -> LVISResult:
        """Evaluate as LVIS does."""
        return evaluate_detections(self.annotations, detections, iou_type, self.max_dets,
                                   self.num_workers)
