"""Operators that mmdet has in a slower form."""
from .early_stop_nms import multiclass_nms

__all__ = ['multiclass_nms']
