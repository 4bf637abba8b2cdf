"""LVIS datasets that know their long tail."""
from urllib.parse import urlsplit

from bacl.annotations.lvis import lvis_use
from mmdet.datasets import LVISV05Dataset, LVISV1Dataset
from mmdet.registry import DATASETS

from .long_tail import LongTailMixin


@DATASETS.register_module()
class LongTailLVISV05Dataset(LongTailMixin, LVISV05Dataset):
    """LVIS v0.5, or a dataset in its format; see :class:`.long_tail.LongTailMixin`."""

    image_name_field = 'file_name'
    make_use = staticmethod(lvis_use)

    def image_name(self, image: dict) -> str:
        """The file name, without COCO's prefix of 2014, which its images of 2017 do not have."""
        name = image['file_name']
        return name[-len('000000000000.jpg'):] if name.startswith('COCO') else name


@DATASETS.register_module()
class LongTailLVISV1Dataset(LongTailMixin, LVISV1Dataset):
    """LVIS v1, or a dataset in its format; see :class:`.long_tail.LongTailMixin`."""

    image_name_field = 'coco_url'
    make_use = staticmethod(lvis_use)

    def image_name(self, image: dict) -> str:
        """Folder and name, which follow the host in the URL, whatever the host."""
        url = image['coco_url']
        return urlsplit(url).path.lstrip('/') if '://' in url else url
