import math

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import ObjectnessBCELoss, objectness_bce_loss
from mmdet.registry import MODELS

official_numbers = pytest.mark.golden('bacl_bce.npz')


def run(golden, **kwargs):
    loss = ObjectnessBCELoss(int(golden['num_classes']),
                             loss_weight=float(golden['loss_weight']))
    logits = golden['logits'].clone().requires_grad_()
    value = loss(logits, golden['labels'], golden['label_weights'], **kwargs)
    value.sum().backward()
    return value.detach(), logits.grad


@official_numbers
def test_equals_official_loss_and_gradient(golden):
    value, grad = run(golden, avg_factor=float(golden['avg_factor']))
    torch.testing.assert_close(value, golden['loss'], rtol=1e-9, atol=0)
    torch.testing.assert_close(grad, golden['grad'], rtol=1e-9, atol=1e-15)


@official_numbers
def test_equals_official_mean_without_avg_factor_per_sample_instead_of_per_element(golden):
    value, grad = run(golden)
    num_channels = int(golden['num_classes']) + 1
    torch.testing.assert_close(value, golden['loss_mean_noavg'] * num_channels, rtol=1e-9, atol=0)
    torch.testing.assert_close(grad, golden['grad_mean_noavg'] * num_channels,
                               rtol=1e-9, atol=1e-15)


@official_numbers
def test_equals_official_sum_and_loss_of_every_element(golden):
    value, _ = run(golden, reduction_override='sum')
    torch.testing.assert_close(value, golden['loss_sum'], rtol=1e-9, atol=1e-15)
    loss = objectness_bce_loss(golden['logits'], golden['labels'])
    loss = golden['loss_weight'] * golden['label_weights'][:, None] * loss
    torch.testing.assert_close(loss, golden['loss_none'], rtol=1e-9, atol=1e-15)


@official_numbers
def test_equals_official_scores(golden):
    scores = ObjectnessBCELoss(int(golden['num_classes'])).get_activation(golden['logits'])
    torch.testing.assert_close(scores, golden['scores'], rtol=1e-12, atol=0)


def test_prior_bias_brings_the_first_loss_near_one():
    # C + 1 channels at probability 0.001: the positive costs ln 1000, the 1203 others 0.001 each.
    head = MODELS.build(dict(
        type='Shared2FCBBoxHead', in_channels=2, fc_out_channels=8, roi_feat_size=2,
        num_classes=1203, loss_cls=dict(type='ObjectnessBCELoss', num_classes=1203),
        init_cfg=[dict(type='Normal', std=0.01, bias_prob=0.001, override=dict(name='fc_cls'))]))
    head.init_weights()
    assert head.fc_cls.bias.tolist() == pytest.approx([-math.log(999)] * 1204)
    labels = torch.tensor([3, 1203])
    loss = head.loss_cls(head.fc_cls(torch.zeros(2, 8)), labels, avg_factor=2)
    assert loss.item() == pytest.approx(math.log(1000) - 1203 * math.log(0.999), rel=1e-4)


def test_half_precision_and_huge_logits_give_finite_float32_loss_and_gradient():
    logits = torch.full((2, 4), 1e4, dtype=torch.float16, requires_grad=True)
    loss = ObjectnessBCELoss(3)(logits, torch.tensor([0, 3]), avg_factor=2)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and logits.grad.isfinite().all()


def test_no_samples_give_a_differentiable_zero():
    logits = torch.zeros(0, 4, requires_grad=True)
    loss = ObjectnessBCELoss(3)(logits, torch.zeros(0, dtype=torch.long), avg_factor=1)
    loss.backward()
    assert loss.item() == 0
