import math

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import SigmoidBCELoss, sigmoid_bce_loss
from mmdet.registry import MODELS
from torch.autograd import gradcheck


@pytest.mark.parametrize('label, expected', [(0, 0.626523), (1, 2.626523), (2, 1.626523)])
def test_a_sample_costs_the_sum_over_classes_and_background_is_a_negative_of_all(label, expected):
    # ln(1 + e^1) + ln(1 + e^-1) = 1.626523 without a positive; a positive subtracts its logit.
    loss = SigmoidBCELoss(2)(torch.tensor([[1.0, -1.0]]), torch.tensor([label]), avg_factor=1)
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_equals_the_definition_and_its_gradient_is_right():
    torch.manual_seed(0)
    logits, labels = torch.randn(5, 3, dtype=torch.float64), torch.tensor([0, 2, 3, 1, 3])
    expected = [[-math.log(p if label == j else 1 - p) for j, p in enumerate(row)]
                for row, label in zip(logits.sigmoid().tolist(), labels.tolist(), strict=True)]
    torch.testing.assert_close(sigmoid_bce_loss(logits, labels),
                               torch.tensor(expected, dtype=torch.float64))
    assert gradcheck(lambda z: sigmoid_bce_loss(z, labels), logits.requires_grad_())


def test_weights_divisor_and_reductions_are_honoured():
    loss = SigmoidBCELoss(3, loss_weight=2.0)
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 3])
    weight = torch.tensor([1.0, 0.5, 0.0, 1.0])
    each = 2 * sigmoid_bce_loss(logits, labels).sum(1) * weight
    torch.testing.assert_close(loss(logits, labels, weight, avg_factor=3.0), each.sum() / 3)
    torch.testing.assert_close(loss(logits, labels, weight), each.sum() / 4)
    torch.testing.assert_close(loss(logits, labels, weight, reduction_override='none'), each)


def test_the_classifier_has_one_output_per_class():
    head = MODELS.build(dict(
        type='Shared2FCBBoxHead', in_channels=2, fc_out_channels=8, roi_feat_size=2,
        num_classes=5, loss_cls=dict(type='SigmoidBCELoss', num_classes=5),
        init_cfg=[dict(type='Normal', std=0.01, bias_prob=0.001, override=dict(name='fc_cls'))]))
    head.init_weights()
    assert head.fc_cls.bias.tolist() == pytest.approx([-math.log(999)] * 5)


def test_scores_are_sigmoids_with_a_background_column_for_the_accuracy():
    loss = SigmoidBCELoss(2)
    logits = torch.tensor([[0.0, math.log(3)], [-math.log(9), -math.log(4)]])
    torch.testing.assert_close(loss.get_activation(logits),
                               torch.tensor([[0.5, 0.75, 0.25], [0.1, 0.2, 0.8]]))
    assert loss.get_activation(logits[:0]).shape == (0, 3)
    assert loss.get_accuracy(logits, torch.tensor([1, 2]))['acc'].item() == 100


def test_half_precision_and_huge_logits_give_finite_float32_loss_and_gradient():
    logits = torch.full((2, 3), 1e4, dtype=torch.float16, requires_grad=True)
    loss = SigmoidBCELoss(3)(logits, torch.tensor([0, 3]), avg_factor=2)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and logits.grad.isfinite().all()


def test_no_samples_give_a_differentiable_zero():
    logits = torch.zeros(0, 3, requires_grad=True)
    loss = SigmoidBCELoss(3)(logits, torch.zeros(0, dtype=torch.long), avg_factor=1)
    loss.backward()
    assert loss.item() == 0
