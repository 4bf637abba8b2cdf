import bacl  # noqa: F401
import pytest
import torch
from bacl.models.calibrators import LogitAdjustment, NorCal
from hypothesis import given
from hypothesis import strategies as st

COUNTS = [1000, 30, 0, 2]
num_rois, seeds = st.integers(0, 5), st.integers(0, 1000)


def logits(num_rois, seed, channels=5):
    return torch.randn(num_rois, channels, dtype=torch.float64,
                       generator=torch.Generator().manual_seed(seed)) * 5


@given(num_rois, seeds, st.floats(0, 5))
def test_factors_on_probabilities_are_additions_to_logits_and_rows_sum_to_one(num, seed, gamma):
    z = logits(num, seed)
    calibrator = NorCal(4, gamma, counts=COUNTS)
    scores = calibrator(z.softmax(1))
    torch.testing.assert_close(scores.sum(1), torch.ones(num, dtype=torch.float64))
    z[:, :-1] += calibrator.log_factor()
    torch.testing.assert_close(scores, z.softmax(1))


def test_tiny_factors_stay_finite_in_single_precision():
    scores = torch.tensor([[1.0, 0.0, 0.0]])
    calibrated = NorCal(2, 30, counts=[1000, 1])(scores)  # 1000^-30 is below the smallest float32
    assert calibrated.isfinite().all() and calibrated.sum().item() == pytest.approx(1)


@given(num_rois, seeds, st.integers(4, 7))
def test_channels_behind_the_classes_keep_their_logits(num, seed, channels):
    z = logits(num, seed, channels)
    calibrated = LogitAdjustment(4, 1.0, counts=COUNTS)(z)
    assert calibrated.shape == z.shape and torch.equal(calibrated[:, 4:], z[:, 4:])


@pytest.mark.parametrize('calibrator', [NorCal(4, 1.0), LogitAdjustment(4, 1.0)])
def test_a_calibrator_without_counts_names_the_cures(calibrator):
    with pytest.raises(RuntimeError, match=r'counts=.*ann_file=.*MethodHook'):
        calibrator(torch.rand(2, 5))


def test_counts_come_from_an_annotation_file(make_lvis):
    ann_file = make_lvis('v1') / 'annotations/lvis_v1_train.json'
    scores = logits(6, 0, 4).softmax(1)
    for calibrator, counts in ((NorCal, [2, 4, 1]), (LogitAdjustment, [2, 5, 1])):
        assert torch.equal(calibrator(3, 0.7, ann_file=ann_file)(scores),
                           calibrator(3, 0.7, counts=counts)(scores))


@pytest.mark.parametrize('calibrator', [NorCal, LogitAdjustment])
def test_a_checkpoint_has_the_counts_unless_the_config_says_them(calibrator):
    trained, tested = calibrator(4, 1.0), calibrator(4, 1.0)
    trained.set_counts(COUNTS)
    tested.load_state_dict(trained.state_dict())
    scores = logits(3, 0).softmax(1)
    configured = calibrator(4, 1.0, counts=COUNTS)
    configured.load_state_dict({})  # strict: nothing is missing
    assert torch.equal(configured(scores), tested(scores))
    with pytest.raises(RuntimeError, match='counts'):
        calibrator(4, 1.0).load_state_dict({})
