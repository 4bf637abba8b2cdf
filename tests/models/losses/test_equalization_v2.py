import math

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import EqualizationLossV2, ObjectnessBCELoss, eqlv2_weights, equalization_v2
from bacl.models.losses.base import one_hot_targets
from hypothesis import given
from hypothesis import strategies as st

official_numbers = pytest.mark.golden('eqlv2.npz')


def official_loss(golden):
    loss = EqualizationLossV2(
        int(golden['num_classes']), float(golden['gamma']), float(golden['mu']),
        float(golden['alpha']), loss_weight=float(golden['loss_weight']))
    loss.pos_grad.copy_(golden['pos_grad_before'])
    loss.neg_grad.copy_(golden['neg_grad_before'])
    return loss


@official_numbers
@pytest.mark.parametrize('with_avg_factor', [True, False])
def test_equals_official_losses_gradients_and_state(golden, with_avg_factor):
    loss = official_loss(golden)
    for call, labels in enumerate(golden['labels']):
        logits = golden['logits'][call].clone().requires_grad_()
        avg_factor = float(len(labels)) if with_avg_factor else None
        value = loss(logits, labels, torch.ones(len(labels)), avg_factor=avg_factor)
        value.backward()
        for ours, theirs in ((value.detach(), 'loss'), (logits.grad, 'grad'),
                             (loss.pos_grad, 'pos_grad_after'), (loss.neg_grad, 'neg_grad_after'),
                             (loss.gradient_ratio(), 'pos_neg_after')):
            torch.testing.assert_close(ours, golden[theirs][call], rtol=1e-9, atol=1e-14)


@official_numbers
def test_equals_official_weights_and_scores(golden):
    loss = official_loss(golden)
    for call, labels in enumerate(golden['labels']):
        targets = one_hot_targets(labels, golden['logits'][call])
        weights = eqlv2_weights(targets, loss.gradient_ratio(), loss.gamma, loss.mu, loss.alpha)
        expected = torch.where(targets.bool(), golden['pos_weight'][call],
                               golden['neg_weight'][call])
        torch.testing.assert_close(weights, expected, rtol=1e-9, atol=1e-14)
        logits = golden['logits'][call]
        torch.testing.assert_close(loss.get_activation(logits), golden['scores'][call])
        loss(logits, labels)


def test_two_steps_by_hand():
    # Logits 0: every channel costs ln 2, every gradient is 1/2. After the first step class 0 has
    # only positive gradient and class 1 only negative, whose next weight is sigmoid(12 * -0.8).
    loss = EqualizationLossV2(2)
    logits, labels = torch.zeros(1, 3, dtype=torch.float64), torch.tensor([0])
    assert loss(logits, labels).item() == pytest.approx(3 * math.log(2))
    assert (loss.pos_grad.tolist(), loss.neg_grad.tolist()) == ([0.5, 0], [0, 0.5])
    damped = 1 / (1 + math.exp(12 * 0.8))
    assert loss(logits, labels).item() == pytest.approx((2 + damped) * math.log(2))
    assert loss.pos_grad.tolist() == [1, 0]
    assert loss.neg_grad.tolist() == pytest.approx([0, 0.5 + 0.5 * damped])


def test_the_first_step_is_the_plain_sigmoid_loss():
    logits, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 3, 0])
    weight = torch.tensor([1.0, 0.5, 0.0, 1.0, 2.0, 1.0])
    args = (logits, labels, weight, 5.0)
    torch.testing.assert_close(EqualizationLossV2(3)(*args), ObjectnessBCELoss(3)(*args))


@given(ratio=st.floats(0, 10), more=st.floats(0, 10))
def test_the_fewer_positive_gradients_the_fewer_negatives_and_the_stronger_positives(ratio, more):
    targets = torch.eye(2, dtype=torch.float64)
    weak, strong = (eqlv2_weights(targets, torch.full((1,), r, dtype=torch.float64), 12, 0.8, 4)
                    for r in (ratio, ratio + more))
    assert 0 <= weak[1, 0] <= strong[1, 0] <= 1  # as a negative
    assert 1 <= strong[0, 0] <= weak[0, 0] <= 5  # as a positive
    assert weak[:, 1].tolist() == strong[:, 1].tolist() == [1, 1]  # background


def test_a_sample_of_weight_zero_is_as_if_it_were_not_there():
    logits, labels = torch.randn(4, 4), torch.tensor([0, 1, 3, 2])
    with_sample, without = EqualizationLossV2(3), EqualizationLossV2(3)
    for _ in range(2):
        value = with_sample(logits, labels, torch.tensor([1.0, 1.0, 1.0, 0.0]), avg_factor=3.0)
        torch.testing.assert_close(value, without(logits[:3], labels[:3], avg_factor=3.0))
    torch.testing.assert_close(with_sample.pos_grad, without.pos_grad)
    torch.testing.assert_close(with_sample.neg_grad, without.neg_grad)


def test_evaluation_changes_no_state():
    loss = EqualizationLossV2(3)
    loss(torch.randn(4, 4), torch.tensor([0, 1, 2, 3]))
    before = {key: value.clone() for key, value in loss.state_dict().items()}
    loss.eval()(torch.randn(4, 4), torch.tensor([0, 1, 2, 3]))
    assert set(before) == {'pos_grad', 'neg_grad'}
    for key, value in loss.state_dict().items():
        assert torch.equal(value, before[key])


def test_a_restored_loss_goes_on_as_the_saved_one():
    batches = [(torch.randn(8, 4), torch.randint(4, (8,))) for _ in range(3)]
    saved = EqualizationLossV2(3)
    for batch in batches[:2]:
        saved(*batch)
    restored = EqualizationLossV2(3)
    restored.load_state_dict(saved.state_dict())
    assert restored(*batches[2]) == saved(*batches[2])


@pytest.mark.parametrize('labels', [[0, 1, 3], [3, 3, 3], []])
def test_every_batch_takes_part_in_the_sum_over_ranks(monkeypatch, labels):
    """Two ranks with the same batch: sums double, also those without samples."""
    calls = []

    def all_reduce(sums):
        calls.append(sums)
        sums.mul_(2)

    logits, labels = torch.randn(len(labels), 4), torch.tensor(labels, dtype=torch.long)
    alone = EqualizationLossV2(3)
    alone(logits, labels)
    monkeypatch.setattr(equalization_v2, 'all_reduce', all_reduce)
    loss = EqualizationLossV2(3)
    loss(logits, labels)
    assert len(calls) == 1
    assert torch.equal(loss.pos_grad, 2 * alone.pos_grad)
    assert torch.equal(loss.neg_grad, 2 * alone.neg_grad)


def test_half_precision_and_huge_logits_give_finite_float32_loss_and_gradient():
    logits = torch.full((2, 4), 1e4, dtype=torch.float16, requires_grad=True)
    loss = EqualizationLossV2(3)
    value = loss(logits, torch.tensor([0, 3]), avg_factor=2)
    value.backward()
    assert value.dtype == torch.float32 and value.isfinite() and logits.grad.isfinite().all()
    assert loss.neg_grad.tolist() == [1, 2, 2] and loss.pos_grad.tolist() == [0, 0, 0]


def test_no_samples_give_a_differentiable_zero():
    logits = torch.zeros(0, 4, requires_grad=True)
    loss = EqualizationLossV2(3)(logits, torch.zeros(0, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0


@pytest.mark.parametrize('kwargs, name', [(dict(gamma=0), 'gamma='), (dict(mu=-1), 'mu='),
                                          (dict(alpha=-1), 'alpha=')])
def test_arguments_out_of_range_are_named(kwargs, name):
    with pytest.raises(ValueError, match=name):
        EqualizationLossV2(3, **kwargs)
