"""Evaluation as plain functions of arrays and annotation dicts; no runner, no registry."""
from .coco_lt import evaluate_coco_lt_detections, load_coco_annotations
from .detections import Detections
from .frequency_groups import FREQUENCIES, group_mean
from .grouped_result import GroupedResult
from .lvis import evaluate_detections, evaluate_lvis
from .lvis_annotations import load_lvis_annotations
from .lvis_result import LVISResult

__all__ = [
    'FREQUENCIES', 'Detections', 'GroupedResult', 'LVISResult', 'evaluate_coco_lt_detections',
    'evaluate_detections', 'evaluate_lvis', 'group_mean', 'load_coco_annotations',
    'load_lvis_annotations'
]
