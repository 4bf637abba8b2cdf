"""Indicators: of training so far (long term), and of the samples at hand (short term)."""
from .base import LongTermIndicator, build_indicator
from .class_frequency import ClassFrequency, ImageFrequency, InstanceFrequency
from .confusion_matrix import ConfusionMatrix
from .cumulative_instance_number import CumulativeInstanceNumber
from .mean_classification_score import MeanClassificationScore
from .short_term import objectness_scores, short_term_indicator
from .true_positive_rate import TruePositiveRate

__all__ = [
    'ClassFrequency', 'ConfusionMatrix', 'CumulativeInstanceNumber', 'ImageFrequency',
    'InstanceFrequency', 'LongTermIndicator', 'MeanClassificationScore', 'TruePositiveRate',
    'build_indicator', 'objectness_scores', 'short_term_indicator'
]
