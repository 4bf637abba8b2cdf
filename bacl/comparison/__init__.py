"""Methods compared on one frozen detector, each tuned in the same small way."""
from .methods import Comparison, Method, read_comparison
from .plan import Data, Plan
from .table import comparison_frame, rank_correlation

__all__ = ['Comparison', 'Data', 'Method', 'Plan', 'comparison_frame', 'rank_correlation',
           'read_comparison']
