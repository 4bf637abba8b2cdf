"""Predictors: last layers of a box head, for mmdet's ``cls_predictor_cfg``."""
from .base import ClassPredictor

__all__ = ['ClassPredictor']
