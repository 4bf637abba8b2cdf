"""Evaluation of long-tailed detection: AP as in LVIS and COCO-LT, in and outside a runner."""
from .functional import (
    FREQUENCIES,
    Detections,
    GroupedResult,
    LVISResult,
    PooledResult,
    evaluate_coco_lt_detections,
    evaluate_detections,
    evaluate_fixed,
    evaluate_lvis,
    group_mean,
    load_coco_annotations,
    load_lvis_annotations,
)
from .metrics import CocoLTMetric, FastLVISMetric

__all__ = [
    'FREQUENCIES', 'CocoLTMetric', 'Detections', 'FastLVISMetric', 'GroupedResult', 'LVISResult',
    'PooledResult', 'evaluate_coco_lt_detections', 'evaluate_detections', 'evaluate_fixed',
    'evaluate_lvis', 'group_mean', 'load_coco_annotations', 'load_lvis_annotations'
]
