"""Matching of detections with ground truth, category by category."""
from .cycle_collection import no_cycle_collection
from .encoded_masks import EncodedMasks
from .matching import Matching

__all__ = ['EncodedMasks', 'Matching', 'no_cycle_collection']
