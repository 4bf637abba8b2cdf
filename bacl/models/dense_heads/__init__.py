"""mmdet's RPN with another NMS: one that stops early, one that resamples; a head of DINO."""
from .early_stop_rpn_head import EarlyStopRPNHead
from .resampling_rpn_head import (
    KeepClassLabels,
    ResamplingRPNHead,
    nearness,
    resample_proposals,
)
from .richsem_dino_head import RichSemDINOHead

__all__ = ['EarlyStopRPNHead', 'KeepClassLabels', 'ResamplingRPNHead', 'RichSemDINOHead',
           'nearness', 'resample_proposals']
