"""Evaluation as plain functions of arrays and annotation dicts; no runner, no registry."""
from .detections import Detections
from .frequency_groups import FREQUENCIES, group_mean
from .lvis import evaluate_detections, evaluate_lvis
from .lvis_annotations import load_lvis_annotations
from .lvis_result import LVISResult

__all__ = [
    'FREQUENCIES', 'Detections', 'LVISResult', 'evaluate_detections', 'evaluate_lvis',
    'group_mean', 'load_lvis_annotations'
]
