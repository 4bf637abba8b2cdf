import math

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.annotations import ClassTable
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.models.losses import AdaptiveClassSuppressionLoss, ObjectnessBCELoss, suppression_weights
from hypothesis import given
from hypothesis import strategies as st


def table(groups, keys=LVIS_GROUPS):
    """Classes in the frequency groups of the given numbers."""
    count = np.ones(len(groups), dtype=np.int64)
    return ClassTable(tuple(map(str, groups)), count, count, num_images=9, groups=keys,
                      group=np.array(groups))


def loss_of(groups, **kwargs):
    loss = AdaptiveClassSuppressionLoss(len(groups), **kwargs)
    loss.set_class_counts(table(groups))
    return loss


def official_loss(golden):
    share = {key: float(golden[f'bg_fraction_{name}'])
             for key, name in (('r', 'rare'), ('c', 'common'), ('f', 'frequent'))}
    return loss_of(golden['category_group'].tolist(), score_thr=float(golden['score_thr']),
                   background_share=share)


@pytest.mark.golden('acsl.npz')
def test_equals_official_mask_loss_gradient_and_scores(golden, monkeypatch):
    def background_last(array):
        return array.roll(-1, dims=1)

    labels = (golden['labels'] - 1) % (int(golden['num_classes']) + 1)
    order = torch.full((3, len(labels)), 0.5, dtype=torch.float64)
    for number, name in enumerate(('rare', 'common', 'frequent')):
        order[number, golden[f'bg_rows_{name}']] = 0.25  # the recorded rows are drawn first
    monkeypatch.setattr('bacl.ops.random_draw.torch.rand', lambda shape, device: order)

    loss = official_loss(golden)
    logits = background_last(golden['logits']).requires_grad_()
    mask = suppression_weights(logits, labels, loss.group, loss.share, loss.score_thr)
    assert torch.equal(mask, background_last(golden['weight_mask']).to(mask))
    value = loss(logits, labels)
    value.backward()
    for ours, theirs in ((value.detach(), golden['loss']),
                         (logits.grad, background_last(golden['grad'])),
                         (loss.get_activation(logits).detach(), background_last(golden['scores']))):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-14)


@pytest.mark.golden('acsl.npz')
def test_draws_as_many_background_samples_as_the_official_code(golden):
    loss = official_loss(golden)
    labels = (golden['labels'] - 1) % (int(golden['num_classes']) + 1)
    mask = suppression_weights(torch.zeros(len(labels), loss.num_channels), labels, loss.group,
                            loss.share, loss.score_thr)
    for number, name in enumerate(('rare', 'common', 'frequent')):
        rows = mask[labels == loss.num_classes][:, :-1][:, loss.group == number]
        assert (rows.sum(0) == len(golden[f'bg_rows_{name}'])).all()
        assert (rows == rows[:, :1]).all()  # a group's classes share the samples


def test_numbers_by_hand():
    # Logits 0. Of 100 background samples 1 suppresses the rare class, 10 the common one, and all
    # the frequent one and the channel of the background.
    loss = loss_of([0, 1, 2])
    value = loss(torch.zeros(100, 4), torch.full((100,), 3))
    assert value.item() == pytest.approx((1 + 10 + 100 + 100) / 100 * math.log(2))
    assert loss(torch.zeros(1, 4), torch.tensor([3])).item() == pytest.approx(2 * math.log(2))
    assert loss(torch.zeros(1, 4), torch.tensor([0])).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize('score, gradient', [(0.69, 0.0), (0.71, 0.71)])
def test_a_class_competes_from_the_threshold_on(score, gradient):
    logits = torch.zeros(1, 4)
    logits[0, 1] = math.log(score / (1 - score))
    loss_of([0, 1, 2])(logits.requires_grad_(), torch.tensor([0])).backward()
    assert logits.grad[0].tolist() == pytest.approx([-0.5, gradient, 0, 0])


@given(seed=st.integers(0, 99))
def test_without_suppressing_the_suppression_it_is_the_sigmoid_loss(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(4, (6,), generator=generator)
    weight = torch.rand(6, generator=generator, dtype=torch.float64)
    loss = loss_of([0, 1, 2], score_thr=0, background_share=dict(r=1, c=1, f=1))
    args = (logits, labels, weight, 5.0)
    torch.testing.assert_close(loss(*args), ObjectnessBCELoss(3)(*args))


def test_a_sample_of_weight_zero_is_as_if_it_were_not_there():
    # Half of 4 background samples is 2, of 3 it is 1. The mean over draws shows it in one call.
    loss = loss_of([0, 1, 2], background_share=dict(r=0, c=0.5, f=1)).eval()
    labels, weight = torch.full((4,), 3), torch.tensor([1.0, 1.0, 1.0, 0.0])
    value = loss(torch.zeros(4, 4), labels, weight, avg_factor=3.0)
    assert value.item() == pytest.approx((1 + 3 + 3) / 3 * math.log(2))


def test_in_evaluation_nothing_is_drawn_and_the_loss_is_the_mean_over_draws():
    torch.manual_seed(0)
    loss = loss_of([0, 1, 2], background_share=dict(r=0.5, c=0.25, f=1))
    logits, labels = torch.randn(9, 4), torch.tensor([0, 3, 3, 3, 1, 3, 3, 3, 3])
    drawn = torch.stack([loss(logits, labels) for _ in range(500)]).mean()
    loss.eval()
    assert loss(logits, labels) == loss(logits, labels)
    assert loss(logits, labels).item() == pytest.approx(drawn.item(), rel=0.03)


def test_groups_are_those_of_the_training_data():
    loss = AdaptiveClassSuppressionLoss(2)
    with pytest.raises(RuntimeError, match='MethodHook'):
        loss(torch.zeros(1, 3), torch.tensor([0]))
    with pytest.raises(ValueError, match=r"background_share=.*\['1'\].*\['r', 'c', 'f'\]"):
        loss.set_class_counts(table([0, 0]).grouped_by_instances())
    with pytest.raises(ValueError, match='groups'):
        loss.set_class_counts(ClassTable(('a', 'b'), *np.ones((2, 2), int), num_images=1))
    loss.set_class_counts(table([2, 0]))
    assert loss.group.tolist() == [2, 0] and not loss.state_dict()


@pytest.mark.parametrize('kwargs, name', [
    (dict(score_thr=2), 'score_thr='), (dict(background_share=dict(r=-1)), 'background_share=')])
def test_arguments_out_of_range_are_named(kwargs, name):
    with pytest.raises(ValueError, match=name):
        AdaptiveClassSuppressionLoss(3, **kwargs)
