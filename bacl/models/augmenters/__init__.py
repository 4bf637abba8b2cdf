"""Augmenters, which give the classifier extra samples, and their parts."""
from .base import ExtraSamples, FeatureAugmenter, Samples
from .box_generator import GTBoxGenerator, jitter_boxes
from .class_feature_distribution import ClassFeatureDistribution, batch_moments
from .class_sampler import class_probability, sample_classes
from .fasa import FASA, inverse_count_probability
from .feature_hallucinator import FeatureHallucinator
from .feature_memory import FeatureMemory
from .feature_replay import FeatureReplay
from .memory_sampler import MemorySampler, inverse_score_probability

__all__ = [
    'ClassFeatureDistribution', 'ExtraSamples', 'FASA', 'FeatureAugmenter', 'FeatureHallucinator',
    'FeatureMemory', 'FeatureReplay', 'GTBoxGenerator', 'MemorySampler', 'Samples',
    'batch_moments', 'class_probability', 'inverse_count_probability', 'inverse_score_probability',
    'jitter_boxes', 'sample_classes'
]
