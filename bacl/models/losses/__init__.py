"""Classification losses: a pure function of its inputs each, and a thin module around it."""
from .base import LongTailLoss, ObjectnessLoss
from .fcbl import FCBL, balance_margin, balance_weight, fcbl_loss
from .objectness_bce import ObjectnessBCELoss, objectness_bce_loss

__all__ = [
    'FCBL', 'LongTailLoss', 'ObjectnessBCELoss', 'ObjectnessLoss', 'balance_margin',
    'balance_weight', 'fcbl_loss', 'objectness_bce_loss'
]
