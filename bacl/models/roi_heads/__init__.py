"""RoI heads: mmdet's, opened to long-tailed methods."""
from .clis_bbox_head import CLISBBoxHead
from .clis_roi_head import CLISRoIHead
from .frozen_roi_extractor import FrozenRoIExtractor
from .image_supervised_roi_head import (
    ImageSupervisedCascadeRoIHead,
    ImageSupervisedRoIHead,
    ImageSupervisionMixin,
    largest_proposals,
)
from .iterative_bbox_head import IterativeBBoxHead
from .long_tail_roi_head import (
    FHMCascadeRoIHead,
    FHMRoIHead,
    LongTailCascadeRoIHead,
    LongTailMixin,
    LongTailRoIHead,
)
from .score_nms import ScoreNMSMixin
from .simcal_roi_head import (
    SimCalCascadeRoIHead,
    SimCalMixin,
    SimCalRoIHead,
    balanced_selection,
    merge_scores,
)

__all__ = [
    'CLISBBoxHead', 'CLISRoIHead', 'FHMCascadeRoIHead', 'FHMRoIHead', 'FrozenRoIExtractor',
    'ImageSupervisedCascadeRoIHead', 'ImageSupervisedRoIHead', 'ImageSupervisionMixin',
    'IterativeBBoxHead', 'LongTailCascadeRoIHead', 'LongTailMixin', 'LongTailRoIHead',
    'ScoreNMSMixin', 'SimCalCascadeRoIHead', 'SimCalMixin', 'SimCalRoIHead', 'balanced_selection',
    'largest_proposals', 'merge_scores'
]
