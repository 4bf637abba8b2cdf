"""Detectors: mmdet's, with what decoupled training needs."""
from .decoupled_two_stage import STAGE2_PARTS, DecoupledTwoStageDetector

__all__ = ['STAGE2_PARTS', 'DecoupledTwoStageDetector']
