import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.models.losses import ROGLoss, gap_loss, rog
from hypothesis import given
from hypothesis import strategies as st
from mmdet.registry import MODELS

C = 3
finite = st.floats(-4, 4).map(lambda value: round(value, 3))


def rounded(logits, labels, weight, delta):
    """The scores that negatives are rounded to."""
    scores = [logits[n, y] for n, y in enumerate(labels) if y < C and weight[n] > 0] + [0]
    low, high = min(scores) - delta, max(scores) + delta
    place = ((logits - low) * (1024 / (high - low))).round().clip(0, 1024)
    return low + (high - low) * place / 1024


def pairwise_gap(logits, labels, weight, class_weight, delta, negatives):
    """The definition, pair by pair; ``negatives`` are the logits that negatives have."""
    num, num_classes = logits.shape
    loss, gradient = np.zeros(num), np.zeros_like(logits)

    def step(x):
        return min(max(x / (2 * delta) + 0.5, 0), 1)

    present = sorted({y for y, v in zip(labels, weight, strict=True) if y < num_classes and v > 0})
    for y in present:
        positives = [n for n in range(num) if labels[n] == y]
        total = sum(weight[n] for n in positives)
        for i in positives:
            false = {(n, c): weight[n] * step(negatives[n, c] - logits[i, y]) for n in range(num)
                     for c in range(num_classes) if labels[n] != c}
            rank = sum(weight[k] * step(logits[k, y] - logits[i, y]) for k in positives) \
                + sum(false.values())
            share = class_weight[y] * weight[i] / (total * len(present))
            if rank == 0:
                continue
            loss[i] = share * sum(false.values()) / rank
            gradient[i, y] -= loss[i]
            for place, value in false.items():
                gradient[place] += share * value / rank
    return loss, gradient


@st.composite
def batches(draw):
    num = draw(st.integers(1, 6))
    logits = np.array(draw(st.lists(st.lists(finite, min_size=C, max_size=C),
                                    min_size=num, max_size=num)))
    labels = draw(st.lists(st.integers(0, C), min_size=num, max_size=num))
    weight = draw(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=num, max_size=num))
    return logits, labels, weight


def compute(logits, labels, weight, class_weight=(0.5, 1.0, 2.0), delta=0.5):
    return gap_loss(torch.tensor(logits), torch.tensor(labels),
                    torch.tensor(weight, dtype=torch.float64), torch.tensor(class_weight), delta)


@pytest.mark.parametrize('on_cpu', [True, False])
def test_equals_the_comparison_of_all_pairs(monkeypatch, on_cpu):
    monkeypatch.setattr('bacl.ops.class_groups.is_on_cpu', lambda tensor: on_cpu)

    @given(batches(), st.sampled_from([0.25, 0.5, 2.0]))
    def check(batch, delta):
        loss, gradient = compute(*batch, delta=delta)
        expected = pairwise_gap(*batch, (0.5, 1.0, 2.0), delta, rounded(*batch, delta))
        np.testing.assert_allclose(loss, expected[0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(gradient, expected[1], rtol=1e-9, atol=1e-9)

    check()


def test_by_hand():
    # Two samples, one class: the positive is at 1, a background sample at 1 as well. Each is half
    # above the other, and the positive half above itself: half of the rank is false.
    loss, gradient = compute([[1.0], [1.0]], [0, 1], [1.0, 1.0], class_weight=[1.0])
    assert loss.tolist() == [0.5, 0] and gradient.tolist() == [[-0.5], [0.5]]
    # Negatives of any class are compared; those half a unit and more below the positive are not.
    loss, gradient = compute([[1.0, 1.25], [0.5, 9.0]], [0, 2], [1.0, 1.0], class_weight=[1.0] * 2)
    error = 1.75 / 2.25
    assert loss.tolist() == pytest.approx([error, 0])
    assert gradient.tolist() == [pytest.approx([-error, 0.75 / 2.25]), pytest.approx([0, 1 / 2.25])]


@given(batches())
def test_updates_sum_to_zero_and_pull_no_wrong_way(batch):
    loss, gradient = compute(*batch)
    assert abs(gradient.sum()) < 1e-9
    is_label = torch.tensor(batch[1])[:, None] == torch.arange(C)
    assert (gradient[is_label] <= 0).all() and (gradient[~is_label] >= -1e-12).all()
    assert (loss >= 0).all() and loss.sum() < 2.0  # a mean of errors below 1, times the weight


@given(batches())
def test_hardly_differs_from_scores_that_are_not_rounded(batch):
    # Up to half a step of 1/1024 of the range, times the slope of H; the weight is 2 at most.
    for result, expected in zip(compute(*batch), pairwise_gap(
            *batch, (0.5, 1.0, 2.0), 0.5, negatives=batch[0]), strict=True):
        np.testing.assert_allclose(result, expected, atol=0.02, rtol=0)


@given(batches())
def test_a_weight_of_two_is_the_sample_twice(batch):
    logits, labels, weight = batch
    times = np.array(weight, dtype=int)
    loss, gradient = compute(*batch)
    repeated = compute(logits.repeat(times, 0), np.repeat(labels, times), np.ones(times.sum()))
    assert loss.sum().item() == pytest.approx(repeated[0].sum().item(), abs=1e-9)
    torch.testing.assert_close(gradient.sum(0), repeated[1].sum(0), rtol=0, atol=1e-9)


def test_single_precision_at_the_size_of_lvis_is_double_precision():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(256, 1203, generator=generator) - 4
    labels = torch.where(torch.rand(256, generator=generator) < 0.25,
                         torch.randint(1203, (256,), generator=generator), 1203)
    single, double = (gap_loss(logits.to(dtype), labels, torch.ones(256, dtype=dtype),
                               torch.ones(1203), 0.5) for dtype in (torch.float32, torch.float64))
    for result, expected in zip(single, double, strict=True):
        torch.testing.assert_close(result.double(), expected, rtol=1e-3, atol=1e-6)


def test_adds_the_weighted_ranking_to_the_classification_loss():
    logits, labels = torch.randn(5, C + 2, requires_grad=True), torch.tensor([0, 0, 1, 3, 3])
    seesaw = dict(type='SynchronizedSeesawLoss')
    loss, plain = ROGLoss(C, seesaw, ranking_weight=0.3), MODELS.build(seesaw | dict(num_classes=C))
    value, alone = loss(logits, labels), plain(logits, labels)
    # After this step class 0 has 2 samples, class 1 has one, and class 2 counts as one.
    class_weight = torch.tensor([0.6, 1.2, 1.2])
    ranking, gradient = gap_loss(logits[:, :C], labels, torch.ones(5), class_weight, 0.5)
    torch.testing.assert_close(loss.class_weight(), class_weight.double())
    torch.testing.assert_close(value, alone + 0.3 * ranking.sum())
    (own,), (theirs,) = (torch.autograd.grad(x, logits) for x in (value, alone))
    torch.testing.assert_close(own[:, :C] - theirs[:, :C], 0.3 * gradient)
    torch.testing.assert_close(own[:, C:], theirs[:, C:])
    assert torch.equal(loss.get_activation(logits), plain.get_activation(logits))
    assert loss.get_accuracy(logits, labels) == plain.get_accuracy(logits, labels)


def test_the_classification_loss_learns_as_it_would_alone():
    loss = ROGLoss(C, dict(type='SynchronizedSeesawLoss'))
    logits, labels = torch.randn(4, C + 2, requires_grad=True), torch.tensor([0, 0, 1, 3])
    loss(logits, labels, torch.tensor([1.0, 0.0, 1.0, 1.0]))
    assert loss.num_samples.tolist() == [1, 1, 0]
    assert loss.loss.cum_samples.tolist() == [1, 1, 0, 1]
    loss.eval()(logits, labels)
    assert loss.num_samples.tolist() == [1, 1, 0]


@pytest.mark.parametrize('labels', [[], [3, 3], [0, 1, 3]])
def test_every_batch_takes_part_in_the_sum_over_ranks(monkeypatch, labels):
    """Two ranks with the same batch: counts double, before the loss."""
    labels = torch.tensor(labels, dtype=torch.long)
    monkeypatch.setattr(rog, 'all_reduce', lambda sums: sums.mul_(2))
    loss = ROGLoss(C)
    loss(torch.randn(len(labels), C + 1), labels)
    assert loss.num_samples.tolist() == [2 * (labels == label).sum() for label in range(C)]


def test_a_sample_of_weight_zero_is_as_if_it_were_not_there():
    loss = ROGLoss(C).eval()
    logits, labels = torch.randn(4, C + 1), torch.tensor([0, 1, 3, 1])
    value = loss(logits, labels, torch.tensor([1.0, 1.0, 1.0, 0.0]), avg_factor=3.0)
    torch.testing.assert_close(value, loss(logits[:3], labels[:3], avg_factor=3.0))


@pytest.mark.parametrize('argument, value', [
    ('ranking_weight', -1), ('gamma', -0.5), ('delta', 0)])
def test_bad_arguments_are_refused_by_name(argument, value):
    with pytest.raises(ValueError, match=rf'ROGLoss\({argument}=\)'):
        ROGLoss(C, **{argument: value})


def test_other_losses_are_refused():
    with pytest.raises(TypeError, match=r'ROGLoss\(loss=\) expects a LongTailLoss.*CrossEntropy'):
        ROGLoss(loss=dict(type='CrossEntropyLoss'))
