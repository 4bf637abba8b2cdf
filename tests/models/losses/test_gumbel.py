import math

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.models.losses import (
    DropLoss,
    GumbelCELoss,
    GumbelDropLoss,
    eql_weights,
    gumbel_ce_loss,
    gumbel_scores,
    tail_ratio,
)
from hypothesis import example, given
from hypothesis import strategies as st

# Only class 1 of two is of the tail.
KWARGS = dict(num_classes=2, frequency_thr=0.1, counts=[20, 5], num_images=100)


def test_equals_a_second_implementation_within_the_range_of_the_official_code():
    rng = np.random.default_rng(0)
    logits, labels = rng.uniform(-4, 10, (9, 3)), rng.integers(0, 4, 9)
    scores = np.exp(-np.exp(-logits))
    expected = np.array([[-math.log(p) if j == y else -math.log1p(-p) for j, p in enumerate(row)]
                         for row, y in zip(scores, labels, strict=True)])
    value = gumbel_ce_loss(torch.tensor(logits), torch.tensor(labels))
    np.testing.assert_allclose(value.numpy(), expected, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(gumbel_scores(torch.tensor(logits)).numpy(), scores)


def test_by_hand():
    # At 0 a score is 1/e: a positive costs 1, a negative -log(1 - 1/e).
    value = GumbelCELoss(2)(torch.zeros(3, 2), torch.tensor([0, 1, 2]), reduction_override='none')
    negative = -math.log(1 - 1 / math.e)
    assert value.tolist() == pytest.approx([1 + negative, 1 + negative, 2 * negative])
    scores = GumbelCELoss(2).get_activation(torch.tensor([[0.0, -math.log(2)]]))
    assert scores[0].tolist() == pytest.approx([1 / math.e, math.exp(-2), 1 - 1 / math.e])
    # Below -4 a positive goes on with its slope there, above 10 a negative with the slope 1.
    value = gumbel_ce_loss(torch.tensor([[-6.0], [14.0]]).double(), torch.tensor([0, 1]))
    negative = -math.log1p(-math.exp(-math.exp(-10)))
    assert value[:, 0].tolist() == pytest.approx([3 * math.exp(4), negative + 4])


@given(st.floats(-30, 30), st.booleans())
@example(-4.0, True)  # where a tangent begins
@example(10.0, False)
def test_a_gradient_pulls_the_right_way_with_exp_4_at_most(logit, is_positive):
    logits = torch.tensor([[logit]], dtype=torch.float64, requires_grad=True)
    gumbel_ce_loss(logits, torch.tensor([1 - is_positive])).sum().backward()
    pull = -logits.grad.item() if is_positive else logits.grad.item()
    assert 0 <= pull <= math.exp(4) + 1e-9
    assert pull > 0 or (logit >= 10 if is_positive else logit <= -3)


@given(st.lists(st.floats(-3, 9), min_size=2, max_size=6, unique_by=lambda z: round(z, 2)))
def test_scores_rank_as_logits_and_losses_as_scores(logits):
    logits = torch.tensor(logits, dtype=torch.float64).sort().values[:, None]
    scores = gumbel_scores(logits)
    assert (scores.diff(dim=0) > 0).all() and ((scores > 0) & (scores < 1)).all()
    positive, negative = (gumbel_ce_loss(logits, torch.full((len(logits),), label))
                          for label in (0, 1))
    assert (positive.diff(dim=0) < 0).all() and (negative.diff(dim=0) > 0).all()
    torch.testing.assert_close((-positive).exp() + (-negative).exp(), torch.ones_like(positive))


def test_gol_drops_what_droploss_drops(monkeypatch):
    logits, labels = torch.randn(5, 2), torch.tensor([0, 1, 2, 2, 2])
    uniform = torch.rand(5, 2)
    monkeypatch.setattr(torch, 'rand_like', lambda logits: uniform)
    loss = GumbelDropLoss(**KWARGS)
    weights = eql_weights(labels, loss.is_tail(), uniform <= tail_ratio(labels, loss.is_tail()))
    assert torch.equal(weights, DropLoss(**KWARGS).channel_weights(logits, labels))
    assert weights.count_nonzero() < weights.numel()
    expected = (weights * gumbel_ce_loss(logits, labels)).sum(1)
    torch.testing.assert_close(loss(logits, labels, reduction_override='none'), expected)


def test_gol_without_a_tail_is_the_plain_loss():
    logits, labels = torch.randn(5, 2), torch.tensor([0, 1, 2, 2, 2])
    loss = GumbelDropLoss(**KWARGS | dict(frequency_thr=0))
    torch.testing.assert_close(loss(logits, labels), GumbelCELoss(2)(logits, labels))


@pytest.mark.parametrize('build', [lambda: GumbelCELoss(2), lambda: GumbelDropLoss(**KWARGS)])
def test_a_sample_of_weight_zero_is_as_if_it_were_not_there(build):
    loss = build().eval()
    logits, labels = torch.randn(4, 2), torch.tensor([0, 1, 2, 1])
    value = loss(logits, labels, torch.tensor([1.0, 1.0, 1.0, 0.0]), avg_factor=3.0)
    torch.testing.assert_close(value, loss(logits[:3], labels[:3], avg_factor=3.0))
