"""Long-tailed datasets and their transforms."""
from .lvis import LongTailLVISV05Dataset, LongTailLVISV1Dataset
from .transforms import DropEmptyGT

__all__ = ['DropEmptyGT', 'LongTailLVISV05Dataset', 'LongTailLVISV1Dataset']
