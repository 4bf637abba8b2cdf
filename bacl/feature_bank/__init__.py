"""Classifiers trained on stored features: what is frozen before them runs once.

Not loaded by ``import bacl``: :func:`to_feature_bank`, which turns a config over, has this package
among its ``custom_imports``.
"""
from .building import build_feature_bank
from .conversion import checkpoint_of_bank, to_feature_bank
from .detector import FeatureBankDetector
from .extraction import BankOptions
from .loading import LoadFeatureBankSample
from .storage import FeatureBankError, FeatureTable

__all__ = ['BankOptions', 'FeatureBankDetector', 'FeatureBankError', 'FeatureTable',
           'LoadFeatureBankSample', 'build_feature_bank', 'checkpoint_of_bank', 'to_feature_bank']
