import math

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import EqualizationLoss, SigmoidBCELoss, eql_weights
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.golden('eql.npz')
@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_equals_official_weights_losses_gradients_and_scores(golden, dtype, tolerance):
    # So many images that a frequency is a whole number of them.
    counts = (golden['image_frequency'] * 1e14).round().tolist()
    loss = EqualizationLoss(int(golden['num_classes']), float(golden['lambda_']), counts=counts,
                            num_images=10**14, loss_weight=float(golden['loss_weight']))
    logits, labels = golden['logits'].to(dtype).requires_grad_(), golden['labels']
    close = dict(rtol=tolerance, atol=1e-2 * tolerance)
    assert torch.equal(eql_weights(labels, loss.is_tail()).byte(), golden['weight_matrix'])
    for args in ((), (torch.ones(len(labels)), float(len(labels)))):
        logits.grad = None
        value = loss(logits, labels, *args)
        value.backward()
        torch.testing.assert_close(value.detach(), golden['loss'].to(dtype), **close)
        torch.testing.assert_close(logits.grad, golden['grad'].to(dtype), **close)
    scores = loss.get_activation(logits.detach())
    torch.testing.assert_close(scores[:, :-1], golden['scores'][:, :-1].to(dtype), **close)


def test_by_hand():
    # Only class 2 is of the tail; a channel of logit 0 costs log 2.
    loss = EqualizationLoss(3, 0.1, counts=[10, 20, 9], num_images=100)
    value = loss(torch.zeros(3, 3), torch.tensor([0, 3, 2]), reduction_override='none')
    assert (value / math.log(2)).tolist() == pytest.approx([2, 3, 3])


def test_tail_classes_are_below_the_threshold_of_lvis():
    # 100 images of v0.5 and 109 of v1 are, one more is not.
    for thr, num_images, most in ((0.00177, 56740, 100), (0.0011, 99388, 109)):
        loss = EqualizationLoss(3, thr, counts=[1, most, most + 1], num_images=num_images)
        assert loss.is_tail().tolist() == [True, True, False]


@given(labels=st.lists(st.integers(0, 4), max_size=8),
       is_tail=st.lists(st.booleans(), min_size=4, max_size=4))
def test_weights_equal_their_definition(labels, is_tail):
    weights = eql_weights(torch.tensor(labels, dtype=torch.long), torch.tensor(is_tail))
    assert weights.tolist() == [
        [not (label < 4 and tail and label != channel) for channel, tail in enumerate(is_tail)]
        for label in labels]


def test_without_tail_classes_it_is_the_sigmoid_loss():
    logits, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 3, 3])
    loss = EqualizationLoss(3, 0, counts=[0, 2, 1], num_images=9)
    weight = torch.tensor([1.0, 0.5, 0.0, 1.0, 2.0])
    args = (logits, labels, weight, 4.0)
    torch.testing.assert_close(loss(*args), SigmoidBCELoss(3)(*args))


@pytest.mark.parametrize('thr', [-0.1, 1.1])
def test_a_threshold_that_is_no_share_is_refused(thr):
    with pytest.raises(ValueError, match='frequency_thr='):
        EqualizationLoss(3, thr)
