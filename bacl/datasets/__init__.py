"""Long-tailed datasets and their transforms."""
from .class_image_pairs import ClassImagePairs
from .coco_lt import CocoLTDataset
from .episodic_sampler import EpisodicSampler, draw_pairs
from .image_level import (
    ImageLevelDataset,
    ImageLevelMosaic,
    JointDataset,
    JointSampler,
    LoadCoarseBox,
    paste_image_level_regions,
)
from .lvis import LongTailLVISV05Dataset, LongTailLVISV1Dataset
from .repeat_factor import RepeatFactorSampler, repeat_factors, round_at_random
from .transforms import ContiguousRandomFlip, CroppedCopyPaste, DropEmptyGT, LoadCroppedMasks

__all__ = [
    'ClassImagePairs', 'CocoLTDataset', 'ContiguousRandomFlip', 'CroppedCopyPaste', 'DropEmptyGT',
    'EpisodicSampler', 'ImageLevelDataset', 'ImageLevelMosaic', 'JointDataset', 'JointSampler',
    'LoadCoarseBox', 'LoadCroppedMasks', 'LongTailLVISV05Dataset', 'LongTailLVISV1Dataset',
    'RepeatFactorSampler', 'draw_pairs', 'paste_image_level_regions', 'repeat_factors',
    'round_at_random']
