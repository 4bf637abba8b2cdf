"""COCO-LT: the dataset, and the builder of its training annotations."""
from .builder import LEVELS, CocoLTSummary, build_coco_lt
from .dataset import CocoLTDataset
from .published_counts import COCO_LT, PublishedCounts

__all__ = ['COCO_LT', 'LEVELS', 'CocoLTDataset', 'CocoLTSummary', 'PublishedCounts',
           'build_coco_lt']
