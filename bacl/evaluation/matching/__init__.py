"""Matching of detections with ground truth, category by category, in this process or in several.

A worker process imports this package alone, not ``bacl``: it starts in a tenth of a second and has
neither torch nor mmdet in memory. So nothing here imports from the rest of ``bacl``.
"""
from .array_files import load_arrays, save_arrays
from .cycle_collection import no_cycle_collection
from .encoded_masks import EncodedMasks
from .matching import Matching
from .worker_processes import default_num_workers, precision_by_processes

__all__ = [
    'EncodedMasks', 'Matching', 'default_num_workers', 'load_arrays', 'no_cycle_collection',
    'precision_by_processes', 'save_arrays'
]
