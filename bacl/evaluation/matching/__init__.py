"""Matching of detections with ground truth, category by category."""
from .cycle_collection import no_cycle_collection
from .encoded_masks import EncodedMasks
from .matching import NUM_AREAS, NUM_IOUS, NUM_RECALLS, Matching

__all__ = [
    'NUM_AREAS', 'NUM_IOUS', 'NUM_RECALLS', 'EncodedMasks', 'Matching', 'no_cycle_collection'
]
