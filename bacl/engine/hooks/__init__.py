"""Hooks between the runner and the models."""
from .atomic_checkpoint_hook import AtomicCheckpointHook
from .class_check_hook import ClassCheckHook
from .class_figure_hook import ClassFigureHook
from .finite_loss_hook import FiniteLossHook, NonFiniteLossError
from .imbalance_hook import ImbalanceHook
from .load_report_hook import LoadReportHook
from .long_term_indicator_hook import LongTermIndicatorHook
from .meta_reweight_hook import MetaReweightHook
from .method_hook import MethodHook
from .plain_checkpoint_hook import PlainCheckpointHook
from .seed_hook import SeedHook
from .short_term_indicator_hook import ShortTermIndicatorHook

__all__ = [
    'AtomicCheckpointHook', 'ClassCheckHook', 'ClassFigureHook', 'FiniteLossHook', 'ImbalanceHook',
    'LoadReportHook', 'LongTermIndicatorHook', 'MetaReweightHook', 'MethodHook',
    'NonFiniteLossError', 'PlainCheckpointHook', 'SeedHook', 'ShortTermIndicatorHook'
]
