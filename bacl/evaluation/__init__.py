"""Evaluation of long-tailed detection: LVIS average precision, in and outside a runner."""
from .functional import (
    FREQUENCIES,
    Detections,
    LVISResult,
    evaluate_detections,
    evaluate_lvis,
    group_mean,
    load_lvis_annotations,
)
from .metrics import FastLVISMetric

__all__ = [
    'FREQUENCIES', 'Detections', 'FastLVISMetric', 'LVISResult', 'evaluate_detections',
    'evaluate_lvis', 'group_mean', 'load_lvis_annotations'
]
