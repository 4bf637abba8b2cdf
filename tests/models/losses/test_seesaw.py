import math

import bacl  # noqa: F401
import pytest
import torch
import torch.nn.functional as F
from bacl.models.losses import SynchronizedSeesawLoss, seesaw, seesaw_logits
from hypothesis import given
from hypothesis import strategies as st
from mmdet.models.losses import SeesawLoss

official_numbers = pytest.mark.golden('seesaw.npz')


def official_loss(golden):
    loss = SynchronizedSeesawLoss(
        int(golden['num_classes']), float(golden['p']), float(golden['q']), float(golden['eps']),
        loss_weight=float(golden['loss_weight']))
    loss.cum_samples.copy_(golden['cum_samples_before'])
    return loss


@official_numbers
def test_equals_official_losses_gradients_counts_and_scores(golden):
    loss = official_loss(golden)
    for call, labels in enumerate(golden['labels']):
        logits = golden['logits'][call].clone().requires_grad_()
        # The official code counts samples of weight 0, too.
        weight = golden['label_weights'][call].clamp(min=1e-30)
        avg_factor = golden['avg_factor'][call].item()
        # mmdet 3 adds the epsilon of float32 to the divisor.
        value = loss(logits, labels, weight, avg_factor + torch.finfo(torch.float32).eps)
        value.backward()
        expected = golden['loss_objectness'][call] + golden['loss_classes'][call]
        for ours, theirs in ((value.detach(), expected), (logits.grad, golden['grad'][call]),
                             (loss.cum_samples, golden['cum_samples_after'][call]),
                             (loss.get_activation(logits).detach(), golden['scores'][call])):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-14)


@official_numbers
def test_equals_official_loss_of_each_part_and_accuracies(golden):
    loss, calls = official_loss(golden), golden['labels']
    for call, labels in enumerate(calls):
        logits = golden['logits'][call]
        loss(logits, labels)
        is_object = labels < loss.num_classes
        class_loss = loss.class_losses(logits[is_object, :-2], labels[is_object])
        value = (class_loss * golden['label_weights'][call][is_object]).sum()
        divisor = golden['avg_factor'][call] + torch.finfo(torch.float32).eps
        torch.testing.assert_close(value / divisor, golden['loss_classes'][call], rtol=1e-9,
                                   atol=1e-14)
    accuracy = loss.get_accuracy(logits, labels)
    for name in ('acc_objectness', 'acc_classes'):
        expected = golden[f'{name}_call{len(calls) - 1}'].float().squeeze()
        torch.testing.assert_close(accuracy[name], expected)


def test_factors_by_hand():
    counts, zeros = torch.tensor([100.0, 10.0]), torch.zeros(2, 2)
    labels = torch.tensor([0, 1])
    mitigated = F.cross_entropy(seesaw_logits(zeros, labels, counts, 0.8, 2, 0.01), labels,
                                reduction='none')
    # The frequent class spares the rare one: its factor is (10 / 100)^0.8.
    assert mitigated.tolist() == pytest.approx([math.log(1 + 10**-0.8), math.log(2)], rel=1e-6)
    logits = torch.tensor([[0.0, math.log(3)]])
    compensated = F.cross_entropy(
        seesaw_logits(logits, labels[:1], torch.ones(2), 0.8, 2, 0.01), labels[:1])
    assert compensated.item() == pytest.approx(math.log(1 + 3 * 9), rel=1e-6)


@given(p=st.floats(0, 3), q=st.floats(0, 3), seed=st.integers(0, 99))
def test_factors_of_equal_classes_are_one_and_the_label_has_none(p, q, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(4, (6,), generator=generator)
    equal_counts, counts = torch.full((4,), 7.0), torch.rand(4, generator=generator) * 100
    changed = seesaw_logits(logits, labels, counts, p, q, 0.01)
    assert torch.equal(changed.gather(1, labels[:, None]), logits.gather(1, labels[:, None]))
    # Without compensation no class is scaled up; without mitigation none down.
    assert (seesaw_logits(logits, labels, counts, p, 0, 0.01) <= logits).all()
    assert (seesaw_logits(logits, labels, counts, 0, q, 0.01) >= logits).all()
    assert torch.equal(seesaw_logits(logits, labels, equal_counts, p, 0, 0.01), logits)


def test_without_factors_it_is_cross_entropy_of_objectness_and_of_classes():
    logits, labels = torch.randn(5, 5), torch.tensor([0, 1, 2, 3, 3])
    value = SynchronizedSeesawLoss(3, p=0, q=0)(logits, labels)
    expected = (F.cross_entropy(logits[:, 3:], torch.tensor([0, 0, 0, 1, 1]), reduction='sum')
                + F.cross_entropy(logits[:3, :3], labels[:3], reduction='sum')) / 5
    torch.testing.assert_close(value, expected)


def test_a_checkpoint_of_mmdet_goes_on_with_the_same_loss():
    theirs = SeesawLoss(num_classes=4, return_dict=False)
    batches = [(torch.randn(9, 6), torch.tensor([0, 1, 1, 1, 4, 4, 2, 0, 3])) for _ in range(2)]
    theirs(*batches[0])
    ours = SynchronizedSeesawLoss(4)
    ours.load_state_dict(theirs.state_dict())
    args = (*batches[1], torch.ones(9), 9)
    torch.testing.assert_close(ours(*args), theirs(*args))


def test_a_sample_of_weight_zero_is_as_if_it_were_not_there():
    logits, labels = torch.randn(4, 5), torch.tensor([0, 1, 3, 2])
    with_sample, without = SynchronizedSeesawLoss(3), SynchronizedSeesawLoss(3)
    value = with_sample(logits, labels, torch.tensor([1.0, 1.0, 1.0, 0.0]), avg_factor=3.0)
    torch.testing.assert_close(value, without(logits[:3], labels[:3], avg_factor=3.0))
    assert with_sample.cum_samples.tolist() == without.cum_samples.tolist() == [1, 1, 0, 1]


def test_evaluation_counts_nothing_and_a_restored_loss_goes_on():
    batches = [(torch.randn(8, 5), torch.randint(4, (8,))) for _ in range(3)]
    saved, restored = SynchronizedSeesawLoss(3), SynchronizedSeesawLoss(3)
    saved(*batches[0])
    restored.load_state_dict(saved.state_dict())
    saved.eval()(*batches[1])
    assert torch.equal(saved.cum_samples, restored.cum_samples)
    assert saved.train()(*batches[2]) == restored(*batches[2])


@pytest.mark.parametrize('labels', [[0, 1, 3], [3, 3, 3], []])
def test_every_batch_takes_part_in_the_sum_over_ranks(monkeypatch, labels):
    """Two ranks with the same batch: counts double, before the loss."""
    labels = torch.tensor(labels, dtype=torch.long)
    monkeypatch.setattr(seesaw, 'all_reduce', lambda sums: sums.mul_(2))
    loss = SynchronizedSeesawLoss(3)
    loss(torch.randn(len(labels), 5), labels)
    assert loss.cum_samples.tolist() == [2 * (labels == label).sum() for label in range(4)]


@pytest.mark.parametrize('kwargs, name', [(dict(p=-1), 'p='), (dict(q=-1), 'q='),
                                          (dict(eps=0), 'eps=')])
def test_arguments_out_of_range_are_named(kwargs, name):
    with pytest.raises(ValueError, match=name):
        SynchronizedSeesawLoss(3, **kwargs)
