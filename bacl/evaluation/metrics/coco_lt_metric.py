"""COCO average precision over the groups of COCO-LT, as a metric of MMEngine's evaluator."""
from collections.abc import Sequence

from bacl.annotations.coco import coco_class_table, read_coco_annotations
from bacl.annotations.group_thresholds import GROUP_THRESHOLDS, check_group_thresholds
from mmdet.registry import METRICS

from ..functional import (
    FIXED_AP_DETECTIONS,
    Detections,
    GroupedResult,
    evaluate_coco_lt_detections,
    evaluate_coco_lt_fixed,
    load_coco_annotations,
)
from .grouped_ap_metric import GroupedAPMetric


@METRICS.register_module()
class CocoLTMetric(GroupedAPMetric):
    """AP of boxes and masks by the rules of COCO, over groups by number of training instances.

    Reports ``coco_lt/bbox_AP``, ``AP50``, ``AP75``, ``APs``, ``APm``, ``APl`` and ``AP1``, of the
    classes with the fewest training instances, to ``AP4``; the same with ``segm``; in [0, 1],
    unrounded; NaN where no category has ground truth. All are taken at the same ``max_dets``, so
    that AP is the mean of the groups, weighted by their number of categories. (mmdet's CocoMetric
    has AP at 100 detections, but the AP of a class at 1000.)

    Each rank parses ``train_ann_file`` when it is built, which for that time takes about five times
    the file's size in memory.

    Args:
        *args: of :class:`.grouped_ap_metric.GroupedAPMetric`: ``ann_file``, ``metric``.
        train_ann_file: path of the training annotations. The groups follow from their number, which
            a stored 'instance_count' must not contradict; see
            :meth:`bacl.annotations.ClassTable.from_categories`. The file has the same categories as
            ``ann_file``, in the same order.
        group_thresholds: the smallest numbers of training instances in groups 2, 3, ...; see
            :func:`bacl.annotations.group_thresholds.lt_groups`.
        max_dets: largest number of detections of one image and category.
        **kwargs: of :class:`.grouped_ap_metric.GroupedAPMetric`.

    Raises:
        FileNotFoundError: if one of the files is missing.
        ValueError: if one of the files is not COCO, if they differ in their categories, if
            counts in ``train_ann_file`` contradict it, or if an argument is out of range.

    Reference:
        Wang et al., "The Devil is in Classification: A Simple Framework for Long-tail Instance
        Segmentation", arXiv:2007.11978.
    """
    default_prefix = 'coco_lt'
    benchmark = 'COCO-LT'
    cap_scope = 'an image and category'

    def __init__(self, *args, train_ann_file: str,
                 group_thresholds: Sequence[int] = GROUP_THRESHOLDS, max_dets: int = 100,
                 **kwargs) -> None:
        super().__init__(*args, max_dets=max_dets, **kwargs)
        thresholds = check_group_thresholds(group_thresholds, 'CocoLTMetric')
        train = read_coco_annotations(train_ann_file, backend_args=kwargs.get('backend_args'))
        self._check_categories(train['categories'], train_ann_file)
        self.class_table = coco_class_table(train, train_ann_file).grouped_by_instances(thresholds)
        self.warn_of_empty_groups()

    def load_annotations(self, ann_file: str, with_masks: bool,
                         backend_args: dict | None) -> dict:
        """Read the COCO annotations."""
        return load_coco_annotations(ann_file, with_masks, backend_args)

    def is_object(self, annotation: dict) -> bool:
        """A crowd is none."""
        return not annotation.get('iscrowd')

    def evaluate_detections(self, detections: Detections,
                            iou_type: str) -> dict[str, GroupedResult]:
        """Evaluate as COCO does."""
        return {'': evaluate_coco_lt_detections(
            self.annotations, detections, self.class_table.group_keys(),
            [group.key for group in self.class_table.groups], iou_type, self.max_dets)}

    def evaluate_fixed(self, detections: Detections, iou_type: str,
                       max_dets_per_class: int = FIXED_AP_DETECTIONS) -> GroupedResult:
        """Evaluate as COCO does, without its cap."""
        return evaluate_coco_lt_fixed(
            self.annotations, detections, self.class_table.group_keys(),
            [group.key for group in self.class_table.groups], iou_type, max_dets_per_class)

    def _check_categories(self, train_categories: Sequence[dict], train_ann_file: str) -> None:
        ours, theirs = ([(category['id'], category['name']) for category in categories]
                        for categories in (self.annotations['categories'], train_categories))
        if ours == theirs:
            return
        missing = [name for _, name in sorted(set(ours) - set(theirs))]
        found = f'none of {missing}' if missing else 'others or another order'
        raise ValueError(f'CocoLTMetric(train_ann_file=) expects the {len(ours)} categories of '
                         f'ann_file, in their order, got {found} in {train_ann_file}.')
