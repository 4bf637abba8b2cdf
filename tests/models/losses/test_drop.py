import math

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import (
    DropLoss,
    EqualizationLoss,
    SigmoidBCELoss,
    eql_weights,
    sigmoid_bce_loss,
    tail_ratio,
)

# Only class 1 of two is of the tail.
KWARGS = dict(num_classes=2, frequency_thr=0.1, counts=[20, 5], num_images=100)


@pytest.mark.golden('droploss.npz')
@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize('case', 'abc')
def test_equals_official_weights_losses_and_gradients(golden, monkeypatch, case, dtype, tolerance):
    counts = (golden['image_frequency'] * 1e14).round().tolist()
    loss = DropLoss(int(golden['num_classes']), float(golden['lambda_']), counts=counts,
                    num_images=10**14)
    logits, labels = golden['logits'].to(dtype).requires_grad_(), golden[f'{case}_labels']
    uniform = golden[f'{case}_uniform'].to(dtype)
    monkeypatch.setattr(torch, 'rand_like', lambda logits: uniform)
    ratio, official_ratio = tail_ratio(labels, loss.is_tail()), golden[f'{case}_rare_fg_ratio']
    if official_ratio.isnan():  # no foreground: officially every comparison with it is False
        assert ratio == 1
    else:
        assert ratio.item() == pytest.approx(official_ratio.item(), rel=1e-6)
    weights = eql_weights(labels, loss.is_tail(), uniform <= ratio)
    assert torch.equal(weights.byte(), golden[f'{case}_weight_matrix'])
    value = loss(logits, labels)
    value.backward()
    close = dict(rtol=tolerance, atol=1e-2 * tolerance)
    torch.testing.assert_close(value.detach(), golden[f'{case}_loss'].to(dtype), **close)
    torch.testing.assert_close(logits.grad, golden[f'{case}_grad'].to(dtype), **close)
    scores = loss.get_activation(logits.detach())
    torch.testing.assert_close(scores[:, :-1], golden['scores'][:, :-1].to(dtype), **close)


def test_by_hand():
    # One of four objects is of the tail, so each background sample keeps its tail class one time
    # in four: log 2 (1 + 0.25) in the mean. The objects cost log 2, and 2 log 2 for the tail.
    logits, labels = torch.zeros(6, 2), torch.tensor([0, 0, 0, 1, 2, 2])
    loss = DropLoss(**KWARGS).eval()
    value = loss(logits, labels, reduction_override='none')
    assert (value / math.log(2)).tolist() == pytest.approx([1, 1, 1, 2, 1.25, 1.25])


def test_the_mean_over_draws_is_the_loss_in_evaluation():
    torch.manual_seed(0)
    labels = torch.cat([torch.tensor([0, 0, 0, 1]), torch.full((4000,), 2)])
    logits = torch.zeros(len(labels), 2)
    loss = DropLoss(**KWARGS)
    drawn = loss(logits, labels, reduction_override='none')[4:] / math.log(2)
    assert set(drawn.round(decimals=5).tolist()) == {1, 2}
    # Within four standard deviations of a binomial mean.
    assert drawn.mean().item() == pytest.approx(1.25, abs=4 * (0.25 * 0.75 / 4000)**0.5)
    assert loss(logits, labels, reduction_override='none')[4:].tolist() != drawn.tolist()
    assert loss.eval()(logits, labels, reduction_override='none')[4:].unique().tolist() == \
        pytest.approx([1.25 * math.log(2)])


@pytest.mark.parametrize('labels, plain', [([1, 1, 2, 2], SigmoidBCELoss), ([2, 2], SigmoidBCELoss),
                                           ([0, 2, 2], None)])
def test_batches_of_tail_objects_alone_or_of_none(labels, plain):
    labels = torch.tensor(labels)
    logits, loss = torch.randn(len(labels), 2), DropLoss(**KWARGS)
    value = loss(logits, labels, reduction_override='sum')
    background = labels == 2
    plain_loss = sigmoid_bce_loss(logits, labels)
    if plain is None:  # no tail object: background is no negative of the tail at all
        plain_loss[:, 1] = 0
    else:
        torch.testing.assert_close(
            value, EqualizationLoss(**KWARGS)(logits, labels, reduction_override='sum'))
    torch.testing.assert_close(
        loss(logits, labels, reduction_override='none')[background], plain_loss.sum(1)[background])


def test_a_sample_of_weight_zero_is_as_if_it_were_not_there():
    loss = DropLoss(**KWARGS).eval()
    for label in (0, 1, 2):  # as object, it would change the share of the tail
        logits, labels = torch.randn(4, 2), torch.tensor([0, 1, 2, label])
        value = loss(logits, labels, torch.tensor([1.0, 1.0, 1.0, 0.0]), avg_factor=3.0)
        torch.testing.assert_close(value, loss(logits[:3], labels[:3], avg_factor=3.0))
