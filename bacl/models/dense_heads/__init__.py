"""mmdet's RPN with an NMS that stops early."""
from .early_stop_rpn_head import EarlyStopRPNHead

__all__ = ['EarlyStopRPNHead']
