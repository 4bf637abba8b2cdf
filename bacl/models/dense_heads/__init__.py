"""RPNs: with an NMS that stops early, or one that resamples, and of CenterNet; a head of DINO."""
from .centernet_rpn_head import CenterNetRPNHead
from .early_stop_rpn_head import EarlyStopRPNHead
from .resampling_rpn_head import (
    KeepClassLabels,
    ResamplingRPNHead,
    nearness,
    resample_proposals,
)
from .richsem_dino_head import RichSemDINOHead

__all__ = ['CenterNetRPNHead', 'EarlyStopRPNHead', 'KeepClassLabels', 'ResamplingRPNHead',
           'RichSemDINOHead', 'nearness', 'resample_proposals']
