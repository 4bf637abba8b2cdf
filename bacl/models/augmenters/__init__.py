"""Augmenters, which give the classifier extra samples, and the parts of the hallucination."""
from .base import ExtraSamples, FeatureAugmenter, Samples
from .box_generator import GTBoxGenerator, jitter_boxes
from .class_feature_distribution import ClassFeatureDistribution, batch_moments
from .class_sampler import class_probability, sample_classes
from .feature_hallucinator import FeatureHallucinator

__all__ = [
    'ClassFeatureDistribution', 'ExtraSamples', 'FeatureAugmenter', 'FeatureHallucinator',
    'GTBoxGenerator', 'Samples', 'batch_moments', 'class_probability', 'jitter_boxes',
    'sample_classes'
]
