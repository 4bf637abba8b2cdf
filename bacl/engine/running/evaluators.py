"""The metric that a config describes."""
from typing import Any

from bacl.evaluation.metrics.grouped_ap_metric import GroupedAPMetric
from mmdet.registry import METRICS
from mmengine.config import Config

from .config_types import is_type


def box_evaluator(cfg: Config) -> dict[str, Any]:
    """The arguments of this package's metric in the test of a config, for boxes.

    Args:
        cfg: config of a run.

    Raises:
        ValueError: if it tests with another metric.
    """
    evaluators = cfg.get('test_evaluator') or []
    for evaluator in evaluators if isinstance(evaluators, list | tuple) else [evaluators]:
        if is_type(evaluator, METRICS, GroupedAPMetric, cfg.get('default_scope')):
            return dict(evaluator.to_dict(), metric='bbox', outfile_prefix=None)
    raise ValueError('test_evaluator expects a FastLVISMetric or CocoLTMetric, got none in '
                     f'{cfg.filename}. Test with one of these.')
