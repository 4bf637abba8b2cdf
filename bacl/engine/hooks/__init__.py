"""Hooks between the runner and the models."""
from .class_check_hook import ClassCheckHook
from .load_report_hook import LoadReport, LoadReportHook, compare_weights
from .long_term_indicator_hook import LongTermIndicatorHook
from .plain_checkpoint_hook import PlainCheckpointHook
from .short_term_indicator_hook import ShortTermIndicatorHook

__all__ = [
    'ClassCheckHook', 'LoadReport', 'LoadReportHook', 'LongTermIndicatorHook',
    'PlainCheckpointHook', 'ShortTermIndicatorHook', 'compare_weights'
]
