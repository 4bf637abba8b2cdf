import math

import bacl  # noqa: F401
import pytest
import torch
import torch.nn.functional as F
from bacl.models.losses import ContrastivePairLoss, contrastive_pair_loss
from torch import nn


def by_the_formula(first, second, labels, temperature):
    total = 0
    for anchors, partners in ((first, second), (second, first)):
        for k, label in enumerate(labels):
            compared = [j for j, other in enumerate(labels) if j == k or other != label]
            logits = [float(anchors[k] @ partners[j]) / temperature for j in compared]
            own = float(anchors[k] @ partners[k]) / temperature
            total += math.log(sum(map(math.exp, logits))) - own
    return total / (2 * len(labels))


def views(num_pairs=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [F.normalize(torch.randn(num_pairs, 4, generator=generator, dtype=torch.float64), dim=1)
            for _ in range(2)]


def test_it_is_the_formula():
    labels = torch.tensor([0, 1, 1, 2, 0, 3])
    for temperature in (0.1, 0.2, 1.0):
        loss = contrastive_pair_loss(*views(), labels, temperature)
        assert float(loss) == pytest.approx(by_the_formula(*views(), labels.tolist(), temperature))


def test_rows_that_are_no_pair_count_nothing():
    (first, second), labels = views(), torch.tensor([0, 1, 1, 2, 0, 3])
    is_pair = torch.tensor([True, True, False, True, False, True])
    first.requires_grad_()
    loss = contrastive_pair_loss(first, second, labels, 0.2, is_pair)
    expected = contrastive_pair_loss(first[is_pair], second[is_pair], labels[is_pair], 0.2)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert not first.grad[~is_pair].any() and first.grad[is_pair].all()


@pytest.mark.parametrize('labels', [[3], [3, 3, 3], []])
def test_without_other_classes_it_is_zero_with_gradient(labels):
    first = torch.randn(len(labels), 4, requires_grad=True)
    loss = ContrastivePairLoss()(first, torch.randn(len(labels), 4), torch.tensor(labels).long())
    assert loss.item() == pytest.approx(0, abs=1e-6)
    loss.backward()
    assert first.grad.abs().sum() < 1e-5 and first.grad.shape == first.shape


def test_it_falls_for_identical_crops():
    torch.manual_seed(0)
    feats, labels = torch.randn(8, 16), torch.arange(8)
    projection, loss = nn.Linear(16, 8), ContrastivePairLoss(loss_weight=1.0)
    optimizer = torch.optim.SGD(projection.parameters(), lr=1.0)
    losses = []
    for _ in range(30):
        value = loss(projection(feats), projection(feats), labels)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert losses[-1] < 0.5 * losses[0]
    # Partners that are alike cost less than others.
    shuffled = loss(projection(feats), projection(feats.roll(1, 0)), labels)
    assert losses[-1] < shuffled


def test_it_does_not_depend_on_lengths_and_overflows_in_no_precision():
    (first, second), labels = views(), torch.arange(6)
    loss = ContrastivePairLoss(temperature=0.01)
    torch.testing.assert_close(loss(first, second, labels), loss(9 * first, second / 7, labels))
    with torch.autocast('cpu', torch.bfloat16):
        low = loss(first.bfloat16(), second.bfloat16(), labels)
    assert low.dtype == torch.float32 and low.isfinite()
    torch.testing.assert_close(low, loss(first.bfloat16().float(), second.bfloat16().float(),
                                         labels))


@pytest.mark.parametrize('kwargs', [dict(temperature=0), dict(loss_weight=-1)])
def test_arguments_out_of_range_are_refused(kwargs):
    with pytest.raises(ValueError, match=f'{next(iter(kwargs))}='):
        ContrastivePairLoss(**kwargs)
