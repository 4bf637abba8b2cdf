import math

import bacl  # noqa: F401
import pytest
import torch
import torch.nn.functional as F
from bacl.models.losses import EquilibriumLoss, equilibrium_loss
from hypothesis import given
from hypothesis import strategies as st

official_numbers = pytest.mark.golden('loce.npz')


def official_loss(golden):
    loss = EquilibriumLoss(int(golden['num_classes']), float(golden['alpha']),
                           float(golden['bg_score']), loss_weight=float(golden['loss_weight']))
    loss.indicator.mean_score.copy_(golden['mean_score_before'][:-1])
    return loss


@official_numbers
@pytest.mark.parametrize('dtype, rtol', [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_equals_official_losses_gradients_scores_and_state(golden, dtype, rtol):
    loss = official_loss(golden)
    num_rois, num_gts = golden['assigned_gt'].size(1), golden['gt_labels'].size(1)
    for step, labels in enumerate(golden['labels']):
        logits = golden['logits'][step].to(dtype).requires_grad_()
        extra = labels[num_rois:]
        assert torch.equal(extra, golden['selected_labels'][step])
        # As a RoI head says it: the object of each RoI, and one for the extra samples of a class.
        loss.indicator.set_objects(
            torch.cat([golden['assigned_gt'][step].clamp(min=0), num_gts + extra]),
            num_gts + loss.num_channels)
        # The official code observes samples of weight 0, too.
        value = loss(logits, labels, golden['label_weights'][step].clamp(min=1e-30),
                     avg_factor=float(golden['avg_factor'][step]))
        value.backward()
        for ours, theirs in ((value.detach(), 'loss'), (logits.grad, 'grad'),
                             (loss.mean_score(), 'mean_score_after'),
                             (loss.get_activation(logits.detach()), 'scores')):
            torch.testing.assert_close(ours.double(), golden[theirs][step], rtol=rtol,
                                       atol=rtol * 1e-2)


def test_three_classes_by_hand():
    # Logits 0: the loss of y is -log(s_y / sum of s), that of a plain softmax log 3.
    score = torch.tensor([0.5, 0.1, 0.01], dtype=torch.float64)
    loss = equilibrium_loss(torch.zeros(3, 3, dtype=torch.float64), torch.arange(3), score)
    assert loss.tolist() == pytest.approx([0.198851, 1.808288, 4.110874], abs=1e-6)


def test_the_mean_score_is_that_with_the_samples_of_the_step():
    loss = EquilibriumLoss(2).double()
    value = loss(torch.zeros(1, 3, dtype=torch.float64), torch.tensor([0]))
    seen = 0.9 * 0.01 + 0.1 / 3  # softmax of three equal logits
    assert loss.mean_score().tolist() == pytest.approx([seen, 0.01, 0.01])
    assert value.item() == pytest.approx(-math.log(seen / (seen + 0.02)))


@given(seed=st.integers(0, 10**6), score=st.floats(1e-6, 1))
def test_equal_mean_scores_are_the_cross_entropy(seed, score):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(4, (5,), generator=generator)
    equal = torch.full((4,), score, dtype=torch.float64)
    expected = F.cross_entropy(logits, labels, reduction='none')
    torch.testing.assert_close(equilibrium_loss(logits, labels, equal), expected)
    # The lower the score of the true class, the higher its loss.
    lower = torch.where(torch.arange(4) == labels[0], equal / 2, equal)
    assert equilibrium_loss(logits, labels, lower)[0] > expected[0]


@pytest.mark.parametrize('settings', [dict(mode='eval'), dict(mode='no grad')], ids=str)
def test_without_training_the_mean_scores_stay(settings):
    loss = EquilibriumLoss(3).train(settings['mode'] != 'eval')
    before = loss.mean_score()
    with torch.set_grad_enabled(settings['mode'] == 'eval'):
        loss(torch.randn(4, 4), torch.tensor([0, 1, 2, 3]))
    assert torch.equal(loss.mean_score(), before)


def test_a_restored_loss_goes_on_as_the_saved_one():
    batches = [(torch.randn(8, 4), torch.randint(4, (8,))) for _ in range(3)]
    saved, restored = EquilibriumLoss(3), EquilibriumLoss(3)
    for batch in batches[:2]:
        saved(*batch)
    restored.load_state_dict(saved.state_dict())
    assert set(saved.state_dict()) == {'indicator.mean_score'}
    assert restored(*batches[2]) == saved(*batches[2])


def test_a_sample_of_weight_zero_is_as_if_it_were_not_there():
    logits, labels = torch.randn(4, 4), torch.tensor([0, 1, 3, 2])
    with_sample, without = EquilibriumLoss(3), EquilibriumLoss(3)
    torch.testing.assert_close(with_sample(logits, labels, torch.tensor([1., 1, 1, 0]), 3.0),
                               without(logits[:3], labels[:3], avg_factor=3.0))
    assert torch.equal(with_sample.mean_score(), without.mean_score())


def test_a_class_that_never_scores_has_a_finite_loss():
    loss = EquilibriumLoss(2, gamma=0.0)
    logits = torch.tensor([[-1e4, 1e4, 0.]])
    assert loss(logits, torch.tensor([0])).isfinite()
    assert loss.mean_score()[0] == 0


@pytest.mark.parametrize('kwargs, name', [(dict(gamma=1), 'gamma='), (dict(gamma=-.1), 'gamma='),
                                          (dict(background_score=0), 'background_score=')])
def test_arguments_out_of_range_are_named(kwargs, name):
    with pytest.raises(ValueError, match=name):
        EquilibriumLoss(3, **kwargs)
