"""Evaluation as plain functions of arrays and annotation dicts; no runner, no registry."""
from .coco_lt import (
    evaluate_coco_lt_detections,
    evaluate_coco_lt_fixed,
    load_coco_annotations,
)
from .detections import FIXED_AP_DETECTIONS, Detections
from .frequency_groups import FREQUENCIES, group_mean
from .grouped_result import GroupedResult
from .lvis import (
    evaluate_all,
    evaluate_detections,
    evaluate_fixed,
    evaluate_lvis,
)
from .lvis_annotations import load_exhaustive_annotations, load_lvis_annotations
from .lvis_result import LVISResult
from .pooled_result import PooledResult

__all__ = [
    'FIXED_AP_DETECTIONS', 'FREQUENCIES', 'Detections', 'GroupedResult', 'LVISResult',
    'PooledResult', 'evaluate_all', 'evaluate_coco_lt_detections', 'evaluate_coco_lt_fixed',
    'evaluate_detections', 'evaluate_fixed', 'evaluate_lvis', 'group_mean',
    'load_coco_annotations', 'load_exhaustive_annotations', 'load_lvis_annotations'
]
