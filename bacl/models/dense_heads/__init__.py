"""mmdet's RPN with another NMS: one that stops early, and one that resamples."""
from .early_stop_rpn_head import EarlyStopRPNHead
from .resampling_rpn_head import (
    KeepClassLabels,
    ResamplingRPNHead,
    nearness,
    resample_proposals,
)

__all__ = ['EarlyStopRPNHead', 'KeepClassLabels', 'ResamplingRPNHead', 'nearness',
           'resample_proposals']
