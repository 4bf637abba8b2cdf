"""Classification losses: a pure function of its inputs each, and a thin module around it."""
from .base import LongTailLoss, ObjectnessLoss
from .counted import CountedLoss
from .equalization_v2 import EqualizationLossV2, eqlv2_weights
from .fcbl import FCBL, balance_margin, balance_weight, fcbl_loss
from .generalized_reweighting import GRWCrossEntropyLoss, grw_weights
from .head_contract import check_heads
from .objectness_bce import ObjectnessBCELoss, objectness_bce_loss
from .sigmoid_bce import SigmoidBCELoss, sigmoid_bce_loss
from .softmax_ce import SoftmaxCELoss, softmax_ce_loss

__all__ = [
    'CountedLoss', 'EqualizationLossV2', 'FCBL', 'GRWCrossEntropyLoss', 'LongTailLoss',
    'ObjectnessBCELoss', 'ObjectnessLoss', 'SigmoidBCELoss', 'SoftmaxCELoss', 'balance_margin',
    'balance_weight', 'check_heads', 'eqlv2_weights', 'fcbl_loss', 'grw_weights',
    'objectness_bce_loss', 'sigmoid_bce_loss', 'softmax_ce_loss'
]
