"""Classification losses: a pure function of its inputs each, and a thin module around it."""
from .base import LongTailLoss, ObjectnessLoss
from .eqlv2 import EQLv2Loss, eqlv2_weights
from .fcbl import FCBL, balance_margin, balance_weight, fcbl_loss
from .objectness_bce import ObjectnessBCELoss, objectness_bce_loss
from .sigmoid_bce import SigmoidBCELoss, sigmoid_bce_loss

__all__ = [
    'EQLv2Loss', 'FCBL', 'LongTailLoss', 'ObjectnessBCELoss', 'ObjectnessLoss', 'SigmoidBCELoss',
    'balance_margin', 'balance_weight', 'eqlv2_weights', 'fcbl_loss', 'objectness_bce_loss',
    'sigmoid_bce_loss'
]
