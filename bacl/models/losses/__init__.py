"""Classification losses: a pure function of its inputs each, and a thin module around it."""
from .adaptive_class_suppression import AdaptiveClassSuppressionLoss, suppression_weights
from .angular_margin import C2AMLoss, c2am_logits
from .balanced_softmax import (
    BalancedSigmoidLoss,
    BalancedSoftmaxLoss,
    balanced_softmax_loss,
    foreground_shift,
    log_odds,
)
from .base import LongTailLoss, ObjectnessLoss
from .contrastive_pair import ContrastivePairLoss, contrastive_pair_loss
from .counted import CountedLoss, ImageShareLoss
from .drop import DropLoss, tail_ratio
from .effective_class_margin import EffectiveClassMarginLoss, ecm_loss, ecm_margins
from .equalization import EqualizationLoss, eql_weights
from .equalization_v2 import EqualizationLossV2, eqlv2_weights
from .equalized_focal import (
    EqualizedFocalLoss,
    EqualizedQualityFocalLoss,
    quality_focal_gradient,
    quality_focal_loss,
)
from .equilibrium import EquilibriumLoss, equilibrium_loss
from .fcbl import FCBL, balance_margin, balance_weight, fcbl_loss
from .federated import FederatedLoss, select_classes
from .federated_focal import FederatedFocalLoss
from .forest import ForestLoss, forest_scores
from .generalized_reweighting import GRWCrossEntropyLoss, grw_weights
from .group_softmax import GroupSoftmaxLoss
from .gumbel import GumbelCELoss, GumbelDropLoss, gumbel_ce_loss, gumbel_scores
from .head_contract import check_heads
from .meta_balanced_sigmoid import MetaBalancedSigmoidLoss, meta_gradient, meta_weights
from .objectness_bce import ObjectnessBCELoss, objectness_bce_loss
from .pairwise_class_balance import (
    PairwiseBalancedEqualizationLossV2,
    PairwiseBalancedSeesawLoss,
    PairwiseBalancedSoftmaxLoss,
)
from .rog import ROGLoss, gap_loss
from .seesaw import SynchronizedSeesawLoss, seesaw_logits
from .sigmoid_bce import SigmoidBCELoss, sigmoid_bce_loss
from .softmax_ce import SoftmaxCELoss, softmax_ce_loss

__all__ = [
    'AdaptiveClassSuppressionLoss', 'BalancedSigmoidLoss', 'BalancedSoftmaxLoss', 'C2AMLoss',
    'ContrastivePairLoss', 'CountedLoss', 'DropLoss', 'EffectiveClassMarginLoss',
    'EqualizationLoss', 'EqualizationLossV2', 'EqualizedFocalLoss', 'EqualizedQualityFocalLoss',
    'EquilibriumLoss', 'FCBL', 'FederatedFocalLoss', 'FederatedLoss', 'ForestLoss',
    'GRWCrossEntropyLoss', 'GroupSoftmaxLoss', 'GumbelCELoss', 'GumbelDropLoss',
    'ImageShareLoss', 'LongTailLoss', 'MetaBalancedSigmoidLoss', 'ObjectnessBCELoss',
    'ObjectnessLoss', 'PairwiseBalancedEqualizationLossV2', 'PairwiseBalancedSeesawLoss',
    'PairwiseBalancedSoftmaxLoss', 'ROGLoss', 'SigmoidBCELoss', 'SoftmaxCELoss',
    'SynchronizedSeesawLoss', 'balance_margin', 'balance_weight', 'balanced_softmax_loss',
    'c2am_logits', 'check_heads', 'contrastive_pair_loss', 'ecm_loss', 'ecm_margins',
    'eql_weights', 'eqlv2_weights', 'equilibrium_loss', 'fcbl_loss', 'foreground_shift',
    'forest_scores', 'gap_loss', 'grw_weights', 'gumbel_ce_loss', 'gumbel_scores', 'log_odds',
    'meta_gradient', 'meta_weights', 'objectness_bce_loss', 'quality_focal_gradient',
    'quality_focal_loss', 'seesaw_logits', 'select_classes', 'sigmoid_bce_loss',
    'softmax_ce_loss', 'suppression_weights', 'tail_ratio'
]
