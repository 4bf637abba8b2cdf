"""Calibrators: what happens to the scores of a trained detector before the NMS."""
from .base import Calibrator, IdentityCalibrator

__all__ = ['Calibrator', 'IdentityCalibrator']
