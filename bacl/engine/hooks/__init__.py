"""Hooks between the runner and the models."""
from .class_count_check_hook import ClassCountCheckHook
from .load_report_hook import LoadReport, LoadReportHook, compare_weights
from .long_term_indicator_hook import LongTermIndicatorHook
from .plain_checkpoint_hook import PlainCheckpointHook
from .short_term_indicator_hook import ShortTermIndicatorHook

__all__ = [
    'ClassCountCheckHook', 'LoadReport', 'LoadReportHook', 'LongTermIndicatorHook',
    'PlainCheckpointHook', 'ShortTermIndicatorHook', 'compare_weights'
]
