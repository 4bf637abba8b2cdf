"""Evaluation of long-tailed detection: AP as in LVIS and COCO-LT, in and outside a runner."""
from .functional import (
    FIXED_AP_DETECTIONS,
    FREQUENCIES,
    Detections,
    GroupedResult,
    LVISResult,
    PooledResult,
    evaluate_coco_lt_detections,
    evaluate_coco_lt_fixed,
    evaluate_detections,
    evaluate_fixed,
    evaluate_lvis,
    group_mean,
    load_coco_annotations,
    load_lvis_annotations,
)
from .metrics import CocoLTMetric, FastLVISMetric

__all__ = [
    'FIXED_AP_DETECTIONS', 'FREQUENCIES', 'CocoLTMetric', 'Detections', 'FastLVISMetric',
    'GroupedResult', 'LVISResult', 'PooledResult', 'evaluate_coco_lt_detections',
    'evaluate_coco_lt_fixed', 'evaluate_detections', 'evaluate_fixed', 'evaluate_lvis',
    'group_mean', 'load_coco_annotations', 'load_lvis_annotations'
]
