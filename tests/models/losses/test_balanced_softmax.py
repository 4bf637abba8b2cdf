import math

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import (
    BalancedSigmoidLoss,
    BalancedSoftmaxLoss,
    SigmoidBCELoss,
    SoftmaxCELoss,
    balanced_softmax_loss,
    foreground_shift,
    log_odds,
)
from hypothesis import given
from hypothesis import strategies as st


def loss_and_gradient(loss, logits, *args, **kwargs):
    logits = logits.clone().requires_grad_()
    value = loss(logits, *args, **kwargs)
    value.sum().backward()
    return value.detach(), logits.grad


@pytest.mark.golden('balanced_softmax.npz')
def test_equals_the_closed_form_of_the_paper(golden):
    for part, prior in (('fg', golden['counts'].double()), ('bg', golden['bg_prior'])):
        logits, labels = golden[f'{part}_logits'], golden[f'{part}_labels']
        value = balanced_softmax_loss(logits, labels, prior.log())
        torch.testing.assert_close(value, golden[f'{part}_loss_none'], rtol=1e-9, atol=1e-14)
        weight = golden.get(f'{part}_label_weights', torch.ones(len(labels)))
        avg_factor = golden.get(f'{part}_avg_factor', len(labels))

        def mean(z, labels=labels, prior=prior, weight=weight, avg_factor=avg_factor):
            return (balanced_softmax_loss(z, labels, prior.log()) * weight).sum() / avg_factor

        value, grad = loss_and_gradient(mean, logits)
        torch.testing.assert_close(value, golden[f'{part}_loss'], rtol=1e-9, atol=0)
        torch.testing.assert_close(grad, golden[f'{part}_grad'], rtol=1e-9, atol=1e-14)


@pytest.mark.golden('balanced_softmax.npz')
@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_module_equals_the_closed_form_for_objects_without_background(golden, dtype, tolerance):
    num_classes, logits = int(golden['num_classes']), golden['fg_logits'].to(dtype)
    loss = BalancedSoftmaxLoss(num_classes, counts=golden['counts'].tolist())
    logits = torch.cat([logits, torch.full_like(logits[:, :1], -1e30)], dim=1)
    value, grad = loss_and_gradient(loss, logits, golden['fg_labels'])
    close = dict(rtol=tolerance, atol=1e-2 * tolerance)
    torch.testing.assert_close(value, golden['fg_loss'].to(dtype), **close)
    torch.testing.assert_close(grad[:, :-1], golden['fg_grad'].to(dtype), **close)
    scores = loss.get_activation(logits)
    torch.testing.assert_close(scores[:, :-1], golden['fg_scores'].to(dtype), **close)


@pytest.mark.golden('balms_sigmoid.npz')
@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_equals_official_sigmoid_losses(golden, dtype, tolerance):
    # So many images that a frequency is a whole number of them.
    counts = (golden['image_frequency'] * 1e14).round()
    loss = BalancedSigmoidLoss(int(golden['num_classes']), counts=counts.tolist(),
                               num_images=10**14)
    logits, labels = golden['logits'].to(dtype), golden['labels']
    close = dict(rtol=tolerance, atol=1e-2 * tolerance)
    one_class = torch.full_like(labels, int(golden['oneclass_label']))
    for prefix, targets in (('', labels), ('allbg_', torch.full_like(labels, loss.num_classes)),
                            ('oneclass_', one_class)):
        value, grad = loss_and_gradient(loss, logits, targets)
        torch.testing.assert_close(value, golden[f'{prefix}loss'].to(dtype), **close)
        torch.testing.assert_close(grad, golden[f'{prefix}grad'].to(dtype), **close)
    shift = log_odds(counts, torch.tensor(1e14, dtype=torch.float64)).to(dtype)
    torch.testing.assert_close(logits + foreground_shift(labels, shift, loss.num_classes),
                               golden['shifted_logits'].to(dtype), **close)
    torch.testing.assert_close(loss.get_activation(logits)[:, :-1],
                               golden['scores'][:, :-1].to(dtype), **close)


def test_softmax_form_by_hand():
    # n = (100, 1): the labels cost log(101 / 100) and log 101 at equal logits.
    counts, logits = torch.tensor([100.0, 1.0]), torch.zeros(2, 2)
    assert balanced_softmax_loss(logits, torch.tensor([0, 1]), counts.log()).tolist() == \
        pytest.approx([0.009950, 4.615121], abs=1e-6)
    # With a background of prior 1, and the priors 100 / 101 and 1 / 101 of the classes.
    loss = BalancedSoftmaxLoss(2, counts=[100, 1])
    value = loss(torch.zeros(3, 3), torch.tensor([0, 1, 2]), reduction_override='none')
    assert value.tolist() == pytest.approx(
        [math.log(2 * 101 / 100), math.log(2 * 101), math.log(3)], abs=1e-6)


def test_sigmoid_form_by_hand():
    shift = log_odds(torch.tensor([50.0, 1.0, 0.0, 100.0]), torch.tensor(100.0))
    assert shift.tolist() == pytest.approx([0, -4.595120, -4.60517, 4.60517], abs=1e-5)
    loss = BalancedSigmoidLoss(2, counts=[50, 1], num_images=100)
    value = loss(torch.zeros(2, 2), torch.tensor([1, 2]), reduction_override='none')
    # BCE of logit 0 costs log 2; of the positive at -4.595 it costs 4.605.
    assert value.tolist() == pytest.approx([5.298317, 2 * math.log(2)], abs=1e-5)


@pytest.mark.parametrize('balanced, plain, kwargs', [
    (BalancedSoftmaxLoss, SoftmaxCELoss, {}),
    (BalancedSigmoidLoss, SigmoidBCELoss, dict(num_images=9))])
def test_background_samples_keep_the_plain_loss(balanced, plain, kwargs):
    balanced, plain = balanced(3, counts=[5, 2, 1], **kwargs), plain(3)
    logits, labels = torch.randn(4, plain.num_channels), torch.tensor([3, 3, 3, 3])
    torch.testing.assert_close(balanced(logits, labels), plain(logits, labels))
    labels[0] = 2
    assert balanced(logits, labels) != plain(logits, labels)


@given(st.lists(st.integers(1, 10**6), min_size=3, max_size=3), st.floats(-9, 9))
def test_only_ratios_of_the_prior_matter(counts, constant):
    logits, labels = torch.linspace(-2, 2, 9, dtype=torch.float64).reshape(3, 3), torch.arange(3)
    log_prior = torch.tensor(counts, dtype=torch.float64).log()
    torch.testing.assert_close(balanced_softmax_loss(logits, labels, log_prior + constant),
                               balanced_softmax_loss(logits, labels, log_prior))
    equal = torch.full((3,), constant, dtype=torch.float64)
    torch.testing.assert_close(balanced_softmax_loss(logits, labels, equal),
                               SoftmaxCELoss(2).elementwise(logits, labels))


def test_frequencies_of_one_half_change_nothing():
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 3])
    loss = BalancedSigmoidLoss(3, counts=[4, 4, 4], num_images=8)
    torch.testing.assert_close(loss(logits, labels), SigmoidBCELoss(3)(logits, labels))


@pytest.mark.parametrize('build, channels', [
    (lambda: BalancedSoftmaxLoss(3, counts=[5, 2, 1]), 4),
    (lambda: BalancedSigmoidLoss(3, counts=[5, 2, 1], num_images=9), 3)])
def test_a_sample_of_weight_zero_is_as_if_it_were_not_there(build, channels):
    logits, labels, loss = torch.randn(4, channels), torch.tensor([0, 1, 3, 2]), build()
    value = loss(logits, labels, torch.tensor([1.0, 1.0, 1.0, 0.0]), avg_factor=3.0)
    torch.testing.assert_close(value, loss(logits[:3], labels[:3], avg_factor=3.0))
