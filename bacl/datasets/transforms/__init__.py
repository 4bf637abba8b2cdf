"""Transforms of training images."""
from .contiguous_flip import ContiguousRandomFlip
from .cropped_copy_paste import CroppedCopyPaste
from .cropped_masks import CroppedMasks
from .drop_empty_gt import DropEmptyGT
from .load_cropped_masks import LoadCroppedMasks

__all__ = ['ContiguousRandomFlip', 'CroppedCopyPaste', 'CroppedMasks', 'DropEmptyGT',
           'LoadCroppedMasks']
