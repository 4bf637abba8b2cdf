"""Detectors: mmdet's, with what decoupled training and image-level supervision need."""
from .decoupled_two_stage import STAGE2_PARTS, DecoupledTwoStageDetector
from .image_supervised import ImageSupervisedDetector
from .richsem_dino import RichSemDINO
from .taught import TaughtMixin

__all__ = ['STAGE2_PARTS', 'DecoupledTwoStageDetector', 'ImageSupervisedDetector', 'RichSemDINO',
           'TaughtMixin']
