"""COCO-LT: the dataset, and the builder of its training annotations."""
from .builder import LEVELS, CocoLTSummary, build_coco_lt
from .dataset import CocoLTDataset
from .groups import GROUP_THRESHOLDS, check_group_thresholds, lt_groups
from .published_counts import COCO_LT, PublishedCounts

__all__ = ['COCO_LT', 'GROUP_THRESHOLDS', 'LEVELS', 'CocoLTDataset', 'CocoLTSummary',
           'PublishedCounts', 'build_coco_lt', 'check_group_thresholds', 'lt_groups']
