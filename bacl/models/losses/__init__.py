"""Classification losses: a pure function of its inputs each, and a thin module around it."""
from .adaptive_class_suppression import AdaptiveClassSuppressionLoss, suppression_mask
from .base import LongTailLoss, ObjectnessLoss
from .counted import CountedLoss
from .equalization_v2 import EqualizationLossV2, eqlv2_weights
from .fcbl import FCBL, balance_margin, balance_weight, fcbl_loss
from .generalized_reweighting import GRWCrossEntropyLoss, grw_weights
from .group_softmax import GroupSoftmaxLoss
from .head_contract import check_heads
from .objectness_bce import ObjectnessBCELoss, objectness_bce_loss
from .pairwise_class_balance import (
    PairwiseBalancedEqualizationLossV2,
    PairwiseBalancedSeesawLoss,
    PairwiseBalancedSoftmaxLoss,
)
from .seesaw import SynchronizedSeesawLoss, seesaw_logits
from .sigmoid_bce import SigmoidBCELoss, sigmoid_bce_loss
from .softmax_ce import SoftmaxCELoss, softmax_ce_loss

__all__ = [
    'AdaptiveClassSuppressionLoss', 'CountedLoss', 'EqualizationLossV2', 'FCBL',
    'GRWCrossEntropyLoss', 'GroupSoftmaxLoss', 'LongTailLoss', 'ObjectnessBCELoss',
    'ObjectnessLoss', 'PairwiseBalancedEqualizationLossV2', 'PairwiseBalancedSeesawLoss',
    'PairwiseBalancedSoftmaxLoss', 'SigmoidBCELoss', 'SoftmaxCELoss', 'SynchronizedSeesawLoss',
    'balance_margin', 'balance_weight', 'check_heads', 'eqlv2_weights', 'fcbl_loss',
    'grw_weights', 'objectness_bce_loss', 'seesaw_logits', 'sigmoid_bce_loss', 'softmax_ce_loss',
    'suppression_mask'
]
