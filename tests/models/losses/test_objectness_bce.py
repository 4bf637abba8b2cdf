import math
from pathlib import Path

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.models.losses import ObjectnessBCELoss
from mmdet.registry import MODELS

DATA = Path(__file__).parents[2] / 'data'


@pytest.fixture
def official():
    with np.load(DATA / 'bacl_bce.npz') as arrays:
        return {key: torch.from_numpy(np.asarray(value)) for key, value in arrays.items()}


def run(official, **kwargs):
    loss = ObjectnessBCELoss(int(official['num_classes']),
                             loss_weight=float(official['loss_weight']))
    logits = official['logits'].clone().requires_grad_()
    value = loss(logits, official['labels'], official['label_weights'], **kwargs)
    value.sum().backward()
    return value.detach(), logits.grad


def test_equals_official_loss_and_gradient(official):
    value, grad = run(official, avg_factor=float(official['avg_factor']))
    torch.testing.assert_close(value, official['loss'], rtol=1e-9, atol=0)
    torch.testing.assert_close(grad, official['grad'], rtol=1e-9, atol=1e-15)


def test_equals_official_mean_over_elements_without_avg_factor(official):
    value, grad = run(official)
    torch.testing.assert_close(value, official['loss_mean_noavg'], rtol=1e-9, atol=0)
    torch.testing.assert_close(grad, official['grad_mean_noavg'], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize('reduction', ['none', 'sum'])
def test_equals_official_reductions(official, reduction):
    value, _ = run(official, reduction_override=reduction)
    torch.testing.assert_close(value, official[f'loss_{reduction}'], rtol=1e-9, atol=1e-15)


def test_equals_official_scores(official):
    scores = ObjectnessBCELoss(int(official['num_classes'])).get_activation(official['logits'])
    torch.testing.assert_close(scores, official['scores'], rtol=1e-12, atol=0)


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
