import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import GRWCrossEntropyLoss, SoftmaxCELoss, grw_weights
from hypothesis import given
from hypothesis import strategies as st

official_numbers = pytest.mark.golden('disalign.npz')


@official_numbers
def test_equals_official_weights_loss_gradient_and_scores(golden):
    loss = GRWCrossEntropyLoss(int(golden['num_classes']), float(golden['exp_scale']),
                               counts=golden['instance_count'].tolist())
    weights = grw_weights(golden['instance_count'].double(), loss.rho)
    torch.testing.assert_close(weights, golden['class_weights'], rtol=1e-9, atol=0)
    logits, labels = golden['logits'].clone().requires_grad_(), golden['labels']
    for args in ((), (torch.ones(len(labels)), float(len(labels)))):
        logits.grad = None
        value = loss(logits, labels, *args)
        value.backward()
        torch.testing.assert_close(value.detach(), golden['loss'], rtol=1e-9, atol=0)
        torch.testing.assert_close(logits.grad, golden['grad_logits'], rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(loss.get_activation(golden['logits']), golden['scores'])
    value = loss(golden['logits'].float(), labels)
    torch.testing.assert_close(value, golden['loss'].float(), rtol=1e-5, atol=0)


def test_weights_by_hand():
    assert grw_weights(torch.tensor([100.0, 10.0, 1.0]), 0.8).tolist() == pytest.approx(
        [0.0637, 0.4017, 2.5346, 1], abs=5e-5)
    assert grw_weights(torch.tensor([1.0, 0.0]), 0.8).tolist() == [1, 1, 1]  # 0 counts as 1


def test_the_mean_is_weighted_and_the_other_reductions_are_not():
    # The losses of the samples are 1, 2 and 4; the weights of their classes 0.0637, 2.5346 and 1.
    loss = GRWCrossEntropyLoss(3, counts=[100, 10, 1])
    logits = torch.tensor([[1.0], [2.0], [4.0]]).neg().expm1().neg().log() - torch.tensor(3.0).log()
    labels = torch.tensor([0, 2, 3])
    logits = logits.repeat(1, 4).scatter_(1, labels[:, None], -torch.tensor([[1.0], [2.0], [4.0]]))
    assert loss(logits, labels, reduction_override='none').tolist() == pytest.approx(
        [0.0637, 2 * 2.5346, 4], abs=2e-4)
    assert loss(logits, labels).item() == pytest.approx(2.538115, abs=1e-4)
    assert loss(logits, labels, reduction_override='sum').item() == pytest.approx(
        0.0637 + 2 * 2.5346 + 4, abs=1e-3)


def test_avg_factor_counts_samples_of_mean_weight():
    logits, labels = torch.randn(3, 4), torch.tensor([0, 2, 3])
    loss = GRWCrossEntropyLoss(3, counts=[100, 10, 1])
    torch.testing.assert_close(loss(logits, labels, avg_factor=6.0), loss(logits, labels) / 2)
    half = torch.full((3,), 0.5)
    torch.testing.assert_close(loss(logits, labels, half, avg_factor=3.0), loss(logits, labels) / 2)


def test_a_sample_of_weight_zero_is_as_if_it_were_not_there():
    logits, labels = torch.randn(4, 4), torch.tensor([0, 1, 3, 2])
    loss = GRWCrossEntropyLoss(3, counts=[100, 10, 1])
    value = loss(logits, labels, torch.tensor([1.0, 1.0, 1.0, 0.0]), avg_factor=3.0)
    torch.testing.assert_close(value, loss(logits[:3], labels[:3], avg_factor=3.0))
    assert loss(logits, labels, torch.zeros(4), avg_factor=1.0) == 0


@given(counts=st.lists(st.integers(0, 10**6), min_size=2, max_size=5), rho=st.floats(0, 2))
def test_weights_are_one_in_the_mean_and_never_rise_with_the_count(counts, rho):
    weights = grw_weights(torch.tensor(counts, dtype=torch.float64), rho)
    assert weights[:-1].mean().item() == pytest.approx(1) and weights[-1] == 1
    by_count = weights[:-1][torch.tensor(counts).argsort()]
    assert (by_count.diff() <= 1e-12).all()


@pytest.mark.parametrize('kwargs', [dict(rho=0, counts=[5, 2, 1]), dict(counts=[7, 7, 7])])
def test_without_differences_it_is_the_softmax_loss(kwargs):
    logits, labels = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 3])
    torch.testing.assert_close(GRWCrossEntropyLoss(3, **kwargs)(logits, labels),
                               SoftmaxCELoss(3)(logits, labels))


def test_rho_below_zero_is_refused():
    with pytest.raises(ValueError, match='rho='):
        GRWCrossEntropyLoss(3, rho=-1)
