"""LVIS datasets that know their long tail."""
from collections.abc import Sequence
from typing import Any

from bacl.annotations.lvis import check_lvis_categories, check_lvis_content
from mmdet.datasets import LVISV05Dataset, LVISV1Dataset
from mmdet.registry import DATASETS

from .long_tail import LongTailMixin, index_property


class LongTailLVISMixin(LongTailMixin):
    """The long tail of mmdet's LVIS datasets; see :class:`.long_tail.LongTailMixin`."""

    lvis = index_property()

    def check_categories(self, categories: Sequence[dict]) -> None:
        """Raise an error if there is no category, or one without name or frequency."""
        check_lvis_categories(categories, self.ann_file)

    def check_content(self, data: Any) -> None:
        """Raise an error that names what is not LVIS in the content of the annotation file."""
        check_lvis_content(data, self.ann_file, (self.image_name_field, ))


@DATASETS.register_module()
class LongTailLVISV05Dataset(LongTailLVISMixin, LVISV05Dataset):
    """LVIS v0.5, or a dataset in its format; see :class:`LongTailLVISMixin`."""

    image_name_field = 'file_name'

    def image_name(self, image: dict) -> str:
        """The file name, without COCO's prefix of 2014, which its images of 2017 do not have."""
        name = image['file_name']
        return name[-len('000000000000.jpg'):] if name.startswith('COCO') else name


@DATASETS.register_module()
class LongTailLVISV1Dataset(LongTailLVISMixin, LVISV1Dataset):
    """LVIS v1, or a dataset in its format; see :class:`LongTailLVISMixin`."""

    image_name_field = 'coco_url'

    def image_name(self, image: dict) -> str:
        """Folder and name, which follow COCO's address."""
        return image['coco_url'].replace('http://images.cocodataset.org/', '')
