"""RoI heads: mmdet's, with what a long-tailed method adds."""
from .fhm_cascade_roi_head import FHMCascadeRoIHead
from .fhm_roi_head import FeatureHallucinationMixin, FHMRoIHead

__all__ = ['FHMCascadeRoIHead', 'FHMRoIHead', 'FeatureHallucinationMixin']
