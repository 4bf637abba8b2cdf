"""Mosaics of images without boxes."""
import random

from mmcv.transforms.utils import cache_randomness
from mmdet.datasets.transforms import Mosaic
from mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ImageLevelMosaic(Mosaic):
    """mmdet's ``Mosaic`` that draws its three other images from those that there are.

    mmdet draws a number up to and including the number of images, which after some thousand
    mosaics ends a training. For ``MultiImageMixDataset``, as the host.
    """

    @cache_randomness
    def get_indexes(self, dataset) -> list[int]:
        """Positions of three images of a dataset."""
        return [random.randrange(len(dataset)) for _ in range(3)]
