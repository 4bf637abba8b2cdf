"""LVIS datasets that know their long tail."""
from collections.abc import Sequence

from bacl.annotations.lvis import check_lvis_annotations, check_lvis_categories
from mmdet.datasets import LVISV05Dataset, LVISV1Dataset
from mmdet.registry import DATASETS

from .long_tail import LongTailMixin, index_property


class LongTailLVISMixin(LongTailMixin):
    """The long tail of mmdet's LVIS datasets; see :class:`.long_tail.LongTailMixin`."""

    # The field of an image record that the host makes the path from.
    image_name_field: str

    lvis = index_property()

    def check_categories(self, categories: Sequence[dict]) -> None:
        """Raise an error if there is no category, or one without name or frequency."""
        check_lvis_categories(categories, self.ann_file)

    def check_annotation_file(self) -> None:
        """Raise an error that names what is not LVIS in the annotation file."""
        check_lvis_annotations(self.ann_file, (self.image_name_field, ), self.backend_args)


@DATASETS.register_module()
class LongTailLVISV05Dataset(LongTailLVISMixin, LVISV05Dataset):
    """LVIS v0.5, or a dataset in its format; see :class:`LongTailLVISMixin`."""

    image_name_field = 'file_name'


@DATASETS.register_module()
class LongTailLVISV1Dataset(LongTailLVISMixin, LVISV1Dataset):
    """LVIS v1, or a dataset in its format; see :class:`LongTailLVISMixin`."""

    image_name_field = 'coco_url'
