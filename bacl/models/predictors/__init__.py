"""Predictors: last layers of a box head, for mmdet's ``cls_predictor_cfg``."""
from .base import ClassPredictor
from .cosine_linear import CosineLinear, cosines
from .disalign_linear import DisAlignCosineLinear, DisAlignLinear, align_logits
from .forest_linear import ForestLinear
from .linear import LinearPredictor
from .scaled_linear import ScaledLinear
from .tde_linear import TDELinear, exchange_classes, without_direction
from .text_cosine_linear import TextCosineLinear

__all__ = [
    'ClassPredictor', 'CosineLinear', 'DisAlignCosineLinear', 'DisAlignLinear', 'ForestLinear',
    'LinearPredictor', 'ScaledLinear', 'TDELinear', 'TextCosineLinear', 'align_logits', 'cosines',
    'exchange_classes', 'without_direction'
]
