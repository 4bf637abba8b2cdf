"""Matching of detections with ground truth, category by category."""
from .encoded_masks import EncodedMasks
from .matching import NUM_AREAS, NUM_IOUS, NUM_RECALLS, Matching

__all__ = ['NUM_AREAS', 'NUM_IOUS', 'NUM_RECALLS', 'EncodedMasks', 'Matching']
