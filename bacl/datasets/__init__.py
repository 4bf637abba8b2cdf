"""Long-tailed datasets and their transforms."""
from .lvis import ClassCounts, LongTailLVISV05Dataset, LongTailLVISV1Dataset
from .transforms import DropEmptyGT

__all__ = ['ClassCounts', 'DropEmptyGT', 'LongTailLVISV05Dataset', 'LongTailLVISV1Dataset']
