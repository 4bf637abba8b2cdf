"""What training has shown so far (long term) and what the current samples show (short term)."""
from .base import LongTermIndicator
from .confusion_matrix import ConfusionMatrix
from .short_term import objectness_scores, short_term_indicator

__all__ = ['ConfusionMatrix', 'LongTermIndicator', 'objectness_scores', 'short_term_indicator']
