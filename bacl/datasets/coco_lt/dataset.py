"""COCO-LT as a dataset of mmdet."""
from collections.abc import Sequence

from bacl.annotations import ClassCounts
from bacl.annotations.coco import check_coco_categories, read_coco_annotations
from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS

from ..long_tail import LongTailMixin, index_property
from .groups import GROUP_THRESHOLDS, check_group_thresholds, lt_groups


@DATASETS.register_module()
class CocoLTDataset(LongTailMixin, CocoDataset):
    """COCO-LT, or another dataset in COCO format; see :class:`..long_tail.LongTailMixin`.

    The classes of COCO-LT are COCO's 80, in mmdet's order, which is that of the file.

    Args:
        *args: of mmdet's CocoDataset.
        group_thresholds: the smallest numbers of annotations in groups 2, 3, ...; see
            :func:`.groups.lt_groups`. With other ones than those of COCO-LT give them to
            CocoLTMetric, too.
        **kwargs: of :class:`..long_tail.LongTailMixin` and mmdet's CocoDataset.

    Raises:
        FileNotFoundError: if the annotation file does not exist.
        ValueError: as :class:`..long_tail.LongTailMixin`, or if counts in the annotation file
            contradict it, or ``group_thresholds`` are not increasing numbers above 0.
    """

    coco = index_property()

    def __init__(self, *args, group_thresholds: Sequence[int] = GROUP_THRESHOLDS,
                 **kwargs) -> None:
        self.group_thresholds = check_group_thresholds(group_thresholds, 'CocoLTDataset')
        super().__init__(*args, **kwargs)

    def check_categories(self, categories: Sequence[dict]) -> None:
        """Raise an error if there is no category, or one without a name."""
        check_coco_categories(categories, self.ann_file)

    def check_annotation_file(self) -> None:
        """Raise an error that names what is not COCO in the annotation file."""
        read_coco_annotations(self.ann_file, ('file_name', 'height', 'width'),
                              ('id', 'bbox', 'area'), self.backend_args)

    def class_counts(self) -> ClassCounts:
        """Counts of the classes; the groups, from '1', follow from them, not from the file."""
        counts = super().class_counts()
        groups = lt_groups(counts.instance_count, self.group_thresholds)
        return counts._replace(group=groups.astype(str))
