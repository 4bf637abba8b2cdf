"""Long-tailed datasets and their transforms."""
from .coco_lt import CocoLTDataset
from .lvis import LongTailLVISV05Dataset, LongTailLVISV1Dataset
from .transforms import ContiguousRandomFlip, CroppedCopyPaste, DropEmptyGT, LoadCroppedMasks

__all__ = [
    'CocoLTDataset', 'ContiguousRandomFlip', 'CroppedCopyPaste', 'DropEmptyGT', 'LoadCroppedMasks',
    'LongTailLVISV05Dataset', 'LongTailLVISV1Dataset']
