"""Strengths of calibrators, wherever they are set."""
import math

import pytest
from bacl.models.calibrators import (
    FRACAL,
    LogitAdjustment,
    NorCal,
    SigmoidFRACAL,
    TauNorm,
    Temperature,
)

COUNTS = dict(counts=[1, 2])
LOCATION = dict(image_share=[0.1, 0.2], dimension=[1, 2])


@pytest.mark.parametrize(('kind', 'name', 'others'), [
    (NorCal, 'gamma', COUNTS), (LogitAdjustment, 'tau', COUNTS), (TauNorm, 'tau', {}),
    (FRACAL, 'lambda_', LOCATION), (SigmoidFRACAL, 'lambda_', LOCATION),
    (Temperature, 'temperature', {})])
def test_what_is_no_strength_is_refused_by_config_and_sweep_alike(kind, name, others):
    calibrator = kind(num_classes=2, **{name: 0.5}, **others)
    setattr(calibrator, name, 2)
    assert getattr(calibrator, name) == 2
    wrong = [-1, math.nan, math.inf, '1'] + [0] * (kind is Temperature)
    for value in wrong:
        with pytest.raises(ValueError, match=rf'{kind.__name__}\({name}=\) expects a finite'):
            kind(num_classes=2, **{name: value}, **others)
        with pytest.raises(ValueError, match=rf'{kind.__name__}\({name}=\) expects a finite'):
            setattr(calibrator, name, value)
    assert getattr(calibrator, name) == 2
