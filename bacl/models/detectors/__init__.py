"""Detectors: mmdet's, with what decoupled training and image-level supervision need."""
from .decoupled_two_stage import STAGE2_PARTS, DecoupledTwoStageDetector
from .image_supervised import ImageSupervisedDetector

__all__ = ['STAGE2_PARTS', 'DecoupledTwoStageDetector', 'ImageSupervisedDetector']
