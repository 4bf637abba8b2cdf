"""Metrics for MMEngine's evaluator."""
from .coco_lt_metric import CocoLTMetric
from .fast_lvis_metric import FastLVISMetric

__all__ = ['CocoLTMetric', 'FastLVISMetric']
