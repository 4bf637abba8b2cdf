"""COCO-LT as a dataset of mmdet."""
from collections.abc import Sequence

from bacl.annotations import ClassCounts
from bacl.annotations.coco import check_coco_categories, read_coco_annotations
from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS

from ..long_tail import LongTailMixin, index_property
from .groups import lt_groups


@DATASETS.register_module()
class CocoLTDataset(LongTailMixin, CocoDataset):
    """COCO-LT, or another dataset in COCO format; see :class:`..long_tail.LongTailMixin`.

    The classes of COCO-LT are COCO's 80, in mmdet's order, which is that of the file. The groups
    of :meth:`class_counts` are '1' (fewer than 20 annotations) to '4' (8000 or more).
    """

    coco = index_property()

    def check_categories(self, categories: Sequence[dict]) -> None:
        """Raise an error if there is no category, or one without a name."""
        check_coco_categories(categories, self.ann_file)

    def check_annotation_file(self) -> None:
        """Raise an error that names what is not COCO in the annotation file."""
        read_coco_annotations(self.ann_file, ('file_name', 'height', 'width'),
                              ('id', 'bbox', 'area'), self.backend_args)

    def class_counts(self) -> ClassCounts:
        """Counts of the classes; the groups follow from them, whatever the file says."""
        counts = super().class_counts()
        return counts._replace(group=lt_groups(counts.instance_count).astype(str))
