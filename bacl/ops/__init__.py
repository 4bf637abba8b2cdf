"""Operators that mmdet has in a slower form, and sums per class."""
from .class_groups import foreground_rows, group_by_class, sum_by_class, sum_groups
from .early_stop_nms import multiclass_nms
from .rank_sums import gather_rows

__all__ = ['foreground_rows', 'gather_rows', 'group_by_class', 'multiclass_nms', 'sum_by_class',
           'sum_groups']
