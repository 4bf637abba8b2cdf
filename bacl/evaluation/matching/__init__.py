"""Matching of detections with ground truth, category by category."""
from .encoded_masks import EncodedMasks
from .matching import Matching

__all__ = ['EncodedMasks', 'Matching']
