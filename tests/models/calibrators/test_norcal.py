import bacl  # noqa: F401
import pytest
import torch
from bacl.models.calibrators import NorCal
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.golden('norcal.npz')
def test_equals_official_scores(golden):
    scores = golden['logits'].softmax(1)
    for gamma, expected in zip(golden['gamma_values'], golden['gamma_exps_renorm'], strict=True):
        calibrator = NorCal(int(golden['num_classes']), gamma.item(),
                            counts=golden['image_count'].tolist())
        torch.testing.assert_close(calibrator(scores), expected, rtol=1e-9, atol=1e-12)


@given(st.floats(0.1, 3), st.integers(0, 1000))
def test_rarer_classes_gain_and_a_class_of_one_image_gains_as_the_background(gamma, seed):
    torch.manual_seed(seed)
    scores = torch.rand(4, 5, dtype=torch.float64).softmax(1)
    calibrated = NorCal(4, gamma, counts=[1000, 30, 1, 0])(scores)
    gain = calibrated / scores
    assert (gain[:, 0] < gain[:, 1]).all() and (gain[:, 1] < gain[:, 2]).all()
    for unit in (2, 3):  # n^-gamma is 1
        torch.testing.assert_close(gain[:, unit], gain[:, 4])
    torch.testing.assert_close(NorCal(4, 0, counts=[1000, 30, 1, 0])(scores), scores)
