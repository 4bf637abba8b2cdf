"""Detectors: mmdet's, with what decoupled training needs."""
from .decoupled_two_stage import CLASSIFIER_STAGE_PARTS, DecoupledTwoStageDetector

__all__ = ['CLASSIFIER_STAGE_PARTS', 'DecoupledTwoStageDetector']
