import math

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import EffectiveClassMarginLoss, ecm_margins
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.golden('ecm.npz')
@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_equals_official_losses_gradients_and_scores(golden, dtype, tolerance):
    loss = EffectiveClassMarginLoss(
        int(golden['num_classes']), float(golden['fg_bg_ratio']),
        counts=golden['image_count'].tolist())
    logits, labels = golden['logits'].to(dtype).requires_grad_(), golden['labels']
    close = dict(rtol=tolerance, atol=1e-2 * tolerance)
    for prefix, targets in (
            ('', labels), ('allbg_', torch.full_like(labels, loss.num_classes)),
            ('oneclass_', torch.full_like(labels, int(golden['oneclass_label'])))):
        logits.grad = None
        value = loss(logits, targets)
        value.backward()
        torch.testing.assert_close(value.detach(), golden[f'{prefix}loss'].to(dtype), **close)
        torch.testing.assert_close(logits.grad, golden[f'{prefix}grad'].to(dtype), **close)
    scores = loss.get_activation(logits.detach())
    torch.testing.assert_close(scores, golden['scores'].to(dtype), **close)


@pytest.mark.golden('ecm.npz')
def test_equals_official_margins(golden):
    shift, weight = ecm_margins(golden['sample_count'])
    # Officially there is one for the positives and one for the negatives.
    torch.testing.assert_close(shift, golden['pos_shift'] - golden['neg_shift'], rtol=1e-9, atol=0)
    torch.testing.assert_close(weight, golden['class_weight'], rtol=1e-9, atol=0)


def test_by_hand():
    # 16 negatives for each positive: shift -log(16) / 4 = -log 2.
    shift, weight = ecm_margins(torch.tensor([1.0, 16.0]))
    assert shift.tolist() == pytest.approx([-math.log(2), math.log(2)])
    assert weight.tolist() == pytest.approx([16 * math.log(17 / 16), math.log(17) / 16])
    # One class and as much background: no shift, each channel costs log 2 times the weight log 2.
    loss = EffectiveClassMarginLoss(1, background_ratio=1, counts=[3])
    value = loss(torch.zeros(2, 2), torch.tensor([0, 1]), reduction_override='none')
    assert value.tolist() == pytest.approx([2 * math.log(2)**2] * 2)
    # The logits are doubled.
    value = loss(torch.tensor([[1.0, 0.0]]), torch.tensor([0]))
    assert value.item() == pytest.approx(math.log(2) * (math.log1p(math.exp(-2)) + math.log(2)))


def test_a_class_without_images_counts_as_one_with_one():
    logits, labels = torch.randn(4, 4), torch.tensor([0, 1, 2, 3])
    without, with_one = (EffectiveClassMarginLoss(3, counts=counts)(logits, labels)
                         for counts in ([9, 4, 0], [9, 4, 1]))
    assert without == with_one


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=5))
def test_the_rarer_a_class_the_lower_its_shift_and_the_higher_its_weight(counts):
    shift, weight = ecm_margins(torch.tensor(counts, dtype=torch.float64))
    order = torch.tensor(counts).argsort()
    assert (shift[order].diff() >= 0).all() and (weight[order].diff() <= 1e-12).all()
    assert ((weight > 0) & (weight < 1)).all()


def test_a_sample_of_weight_zero_is_as_if_it_were_not_there():
    loss = EffectiveClassMarginLoss(3, counts=[9, 4, 1])
    logits, labels = torch.randn(4, 4), torch.tensor([0, 1, 3, 2])
    value = loss(logits, labels, torch.tensor([1.0, 1.0, 1.0, 0.0]), avg_factor=3.0)
    torch.testing.assert_close(value, loss(logits[:3], labels[:3], avg_factor=3.0))


def test_a_background_without_samples_is_refused():
    with pytest.raises(ValueError, match='background_ratio='):
        EffectiveClassMarginLoss(3, background_ratio=0)
