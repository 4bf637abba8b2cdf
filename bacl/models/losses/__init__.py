"""Classification losses: a pure function of its inputs each, and a thin module around it."""
from .base import LongTailLoss, ObjectnessLoss
from .counted import CountedLoss
from .equalization_v2 import EqualizationLossV2, eqlv2_weights
from .equilibrium import EquilibriumLoss, equilibrium_loss
from .fcbl import FCBL, balance_margin, balance_weight, fcbl_loss
from .head_contract import check_heads
from .objectness_bce import ObjectnessBCELoss, objectness_bce_loss
from .sigmoid_bce import SigmoidBCELoss, sigmoid_bce_loss

__all__ = [
    'CountedLoss', 'EqualizationLossV2', 'EquilibriumLoss', 'FCBL', 'LongTailLoss',
    'ObjectnessBCELoss', 'ObjectnessLoss', 'SigmoidBCELoss', 'balance_margin', 'balance_weight',
    'check_heads', 'eqlv2_weights', 'equilibrium_loss', 'fcbl_loss', 'objectness_bce_loss',
    'sigmoid_bce_loss'
]
