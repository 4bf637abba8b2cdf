"""RoI heads: mmdet's, with what a long-tailed method adds."""
from .early_stop_nms import EarlyStopCascadeRoIHead, EarlyStopNMSMixin, EarlyStopRoIHead
from .fhm_cascade_roi_head import FHMCascadeRoIHead
from .fhm_roi_head import FeatureHallucinationMixin, FHMRoIHead

__all__ = [
    'EarlyStopCascadeRoIHead', 'EarlyStopNMSMixin', 'EarlyStopRoIHead', 'FHMCascadeRoIHead',
    'FHMRoIHead', 'FeatureHallucinationMixin'
]
