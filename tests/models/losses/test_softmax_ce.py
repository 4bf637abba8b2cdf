import math

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import SoftmaxCELoss, softmax_ce_loss
from mmdet.registry import MODELS


def test_logits_of_zero_cost_the_logarithm_of_the_number_of_channels():
    for num_classes, expected in ((1203, 7.09340), (1230, 7.11558)):
        loss = SoftmaxCELoss(num_classes)
        logits = torch.zeros(2, num_classes + 1, dtype=torch.float64)
        value = loss(logits, torch.tensor([0, num_classes]))
        assert value.item() == pytest.approx(math.log(num_classes + 1))
        assert value.item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize('reduction', ['none', 'mean', 'sum'])
def test_equals_cross_entropy_of_mmdet(reduction):
    logits, labels = torch.randn(6, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 3, 0])
    weight = torch.tensor([1.0, 0.5, 0.0, 1.0, 2.0, 1.0], dtype=torch.float64)
    avg_factor = 5.0 if reduction == 'mean' else None
    ours, theirs = (MODELS.build(dict(type=name, reduction=reduction, **kwargs)) for name, kwargs in
                    (('SoftmaxCELoss', dict(num_classes=3)), ('CrossEntropyLoss', {})))
    values, grads = [], []
    for loss in (ours, theirs):
        z = logits.clone().requires_grad_()
        values.append(loss(z, labels, weight, avg_factor=avg_factor))
        values[-1].sum().backward()
        grads.append(z.grad)
    torch.testing.assert_close(*values)  # mmdet's divisor has an epsilon
    torch.testing.assert_close(*grads)


def test_a_constant_added_to_a_row_changes_nothing():
    logits, labels = torch.randn(4, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3])
    shifted = logits + torch.tensor([[-5.0], [0.0], [3.0], [100.0]])
    torch.testing.assert_close(softmax_ce_loss(shifted, labels), softmax_ce_loss(logits, labels))


def test_scores_are_those_of_a_softmax_with_background_last():
    logits = torch.tensor([[0.0, 0.0, math.log(2)]])
    assert SoftmaxCELoss(2).get_activation(logits).tolist() == [
        pytest.approx([0.25, 0.25, 0.5])]
