"""COCO-LT as a dataset of mmdet."""
from collections.abc import Sequence
from typing import Any

from bacl.annotations import ClassTable
from bacl.annotations.coco import check_coco_categories, check_coco_content
from bacl.annotations.group_thresholds import GROUP_THRESHOLDS, check_group_thresholds
from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS

from ..long_tail import LongTailMixin, index_property


@DATASETS.register_module()
class CocoLTDataset(LongTailMixin, CocoDataset):
    """COCO-LT, or another dataset in COCO format; see :class:`..long_tail.LongTailMixin`.

    The classes of COCO-LT are COCO's 80, in mmdet's order, which is that of the file.

    Args:
        *args: of mmdet's CocoDataset.
        group_thresholds: the smallest numbers of annotations in groups 2, 3, ...; see
            :func:`bacl.annotations.group_thresholds.lt_groups`. With other ones than those of
            COCO-LT give them to CocoLTMetric, too.
        **kwargs: of :class:`..long_tail.LongTailMixin` and mmdet's CocoDataset.

    Raises:
        FileNotFoundError: if the annotation file does not exist.
        ValueError: as :class:`..long_tail.LongTailMixin`, or if counts in the annotation file
            contradict it, or ``group_thresholds`` are not increasing numbers above 0.
    """

    coco = index_property()
    image_name_field = 'file_name'

    def __init__(self, *args, group_thresholds: Sequence[int] = GROUP_THRESHOLDS,
                 **kwargs) -> None:
        self.group_thresholds = check_group_thresholds(group_thresholds, 'CocoLTDataset')
        super().__init__(*args, **kwargs)

    def check_categories(self, categories: Sequence[dict]) -> None:
        """Raise an error if there is no category, or one without a name."""
        check_coco_categories(categories, self.ann_file)

    def check_content(self, data: Any) -> None:
        """Raise an error that names what is not COCO in the content of the annotation file."""
        check_coco_content(data, self.ann_file, (self.image_name_field, 'height', 'width'),
                           ('id', 'bbox', 'area'))

    def image_name(self, image: dict) -> str:
        """The file name."""
        return image['file_name']

    def with_groups(self, classes: ClassTable) -> ClassTable:
        """Classes in groups, from '1', that follow from their counts, not from the file."""
        return classes.grouped_by_instances(self.group_thresholds)
