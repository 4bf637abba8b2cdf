"""Flipped images that the next transform can read at once."""
import cv2
from mmdet.datasets.transforms import RandomFlip
from mmdet.registry import TRANSFORMS

FLIP_CODES = {'horizontal': 1, 'vertical': 0, 'diagonal': -1}


@TRANSFORMS.register_module()
class ContiguousRandomFlip(RandomFlip):
    """mmdet's ``RandomFlip``, whose image lies in memory in order.

    ``RandomFlip`` returns a view that runs backwards. OpenCV, in ``Pad`` for example, has to copy
    it pixel by pixel, which takes fifty times as long as flipping.

    Keys and arguments are those of ``RandomFlip``.
    """

    def _flip(self, results: dict) -> None:
        image = results['img']
        super()._flip(results)
        flipped = cv2.flip(image, FLIP_CODES[results['flip_direction']])
        results['img'] = flipped.reshape(image.shape)  # OpenCV drops a single channel
