import bacl  # noqa: F401
import pytest
import torch
from bacl.models.calibrators import LogitAdjustment


@pytest.mark.golden('logit_adjustment.npz')
def test_equals_the_closed_form_for_softmax_and_sigmoid(golden):
    num_classes = int(golden['num_classes'])
    for i, tau in enumerate(golden['tau'].tolist()):
        calibrator = LogitAdjustment(num_classes, tau, counts=golden['instance_count'].tolist())
        calibrated = calibrator(golden['logits'])
        torch.testing.assert_close(calibrated.softmax(1), golden['posthoc_scores'][i],
                                   rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(
            calibrator(golden['logits'][:, :num_classes]).sigmoid(),
            golden['posthoc_sigmoid_scores'][i], rtol=1e-9, atol=1e-12)


def test_no_strength_changes_nothing_and_a_class_without_instances_counts_as_one():
    logits = torch.randn(3, 4)
    assert torch.equal(LogitAdjustment(3, 0.0, counts=[9, 1, 0])(logits), logits)
    calibrated = LogitAdjustment(3, 1.0, counts=[9, 1, 0])(torch.zeros(1, 4))
    assert calibrated[0, 1] == calibrated[0, 2] > calibrated[0, 0] > calibrated[0, 3] == 0
