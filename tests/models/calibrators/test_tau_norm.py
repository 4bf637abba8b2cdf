import bacl  # noqa: F401
import pytest
import torch
from bacl.models.calibrators import TauNorm
from bacl.models.calibrators.tau_norm import row_norms
from torch import nn


def classifier(golden):
    layer = nn.Linear(*golden['cls_weight'].t().shape, dtype=torch.float64)
    layer.weight.data, layer.bias.data = golden['cls_weight'], golden['cls_bias']
    return layer


@pytest.mark.golden('decoupled.npz')
def test_equals_the_scores_of_normalised_weights(golden):
    layer, num_classes = classifier(golden), int(golden['num_classes'])
    for i, tau in enumerate(golden['tau'].tolist()):
        torch.testing.assert_close(
            golden['cls_weight'] / row_norms(golden['cls_weight'])[:, None]**tau,
            golden['tau_weight'][i], rtol=1e-9, atol=1e-12)
        calibrator = TauNorm(num_classes, tau)
        calibrator.set_classifiers([layer])
        calibrated = calibrator(layer(golden['features'])).detach()
        torch.testing.assert_close(calibrated.softmax(1), golden['tau_scores_fg_only'][i],
                                   rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(calibrated[:, :num_classes],
                                   golden['tau_logits_with_bias'][i][:, :num_classes],
                                   rtol=1e-9, atol=1e-9)


def test_the_classifier_is_no_part_of_its_state():
    calibrator, layer = TauNorm(2, 0.0), nn.Linear(4, 3)
    calibrator.set_classifiers([layer])
    assert not calibrator.state_dict() and not list(calibrator.modules())[1:]
    logits = layer(torch.randn(5, 4))
    torch.testing.assert_close(calibrator(logits), logits)


@pytest.mark.parametrize('classifiers', [[nn.Linear(4, 3)] * 2, [nn.Identity()]])
def test_several_or_other_classifiers_are_refused(classifiers):
    with pytest.raises(ValueError, match='TauNorm.*(Linear.*Linear|Identity)'):
        TauNorm(2, 1.0).set_classifiers(classifiers)
