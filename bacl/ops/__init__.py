"""Fast forms of operators of mmdet, sums per class, random draws, a clustering, and precision."""
from .affinity_propagation import affinity_propagation
from .class_groups import (
    foreground_rows,
    group_by_class,
    is_on_cpu,
    once_per_class,
    sum_by_class,
    sum_groups,
)
from .early_stop_nms import multiclass_nms
from .precision import promoted
from .random_draw import draw_samples
from .rank_sums import gather_rows
from .row_roi_align import row_roi_align

__all__ = [
    'affinity_propagation', 'draw_samples', 'foreground_rows', 'gather_rows', 'group_by_class',
    'is_on_cpu', 'multiclass_nms', 'once_per_class', 'promoted', 'row_roi_align', 'sum_by_class',
    'sum_groups'
]
