"""Calibrators: what happens to the scores of a trained detector before the NMS."""
from .base import Calibrator, IdentityCalibrator, LogitCalibrator, ProbabilityCalibrator
from .fracal import FRACAL, SigmoidFRACAL
from .logit_adjustment import LogitAdjustment
from .logn import LogN
from .norcal import NorCal
from .tau_norm import TauNorm
from .temperature import Temperature

__all__ = [
    'FRACAL', 'Calibrator', 'IdentityCalibrator', 'LogN', 'LogitAdjustment', 'LogitCalibrator',
    'NorCal', 'ProbabilityCalibrator', 'SigmoidFRACAL', 'TauNorm', 'Temperature'
]
