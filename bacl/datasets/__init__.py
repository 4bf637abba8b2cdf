"""Long-tailed datasets and their transforms."""
from .coco_lt import CocoLTDataset
from .lvis import LongTailLVISV05Dataset, LongTailLVISV1Dataset
from .transforms import DropEmptyGT

__all__ = ['CocoLTDataset', 'DropEmptyGT', 'LongTailLVISV05Dataset', 'LongTailLVISV1Dataset']
