import math

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import FCBL, ObjectnessBCELoss, balance_margin, balance_weight, fcbl_loss
from hypothesis import given
from hypothesis import strategies as st
from mmdet.registry import MODELS
from torch.autograd import gradcheck


def random_batch(seed, num_samples=9, num_classes=4, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(num_samples, num_classes + 1, generator=generator,
                                 dtype=torch.float64)
    labels = torch.randint(num_classes + 1, (num_samples,), generator=generator)
    return logits, labels


def trained_fcbl(seed=0, num_classes=4, **kwargs):
    """An FCBL whose indicator has seen two batches."""
    loss = FCBL(num_classes, **kwargs)
    for step in range(2):
        loss.indicator.observe(*random_batch(100 * seed + step, 30, num_classes))
    return loss


def log_sigmoid(z):
    return -math.log1p(math.exp(-z)) if z > 0 else z - math.log1p(math.exp(z))


def slow_fcbl(loss, logits, labels):
    """Eq. (6)-(9), one term after the other; 1 - sigmoid(z) is sigmoid(-z)."""
    matrix = loss.indicator.value().tolist()
    num_classes = loss.num_classes
    total = 0.0
    for z, label in zip(logits.tolist(), labels.tolist(), strict=True):
        p = [1 / (1 + math.exp(-v)) for v in z]
        if label == num_classes:
            total -= log_sigmoid(z[num_classes])
            total -= sum(log_sigmoid(-z[j]) for j in range(num_classes))
            continue
        total -= log_sigmoid(z[label]) + log_sigmoid(-z[num_classes])
        short = [p[j] * (1 - p[num_classes]) for j in range(num_classes)]
        for j in range(num_classes):
            if j == label:
                continue
            if loss.with_weight and not (
                    loss.above_true and short[j] >= short[label]
                    or loss.prob_thr is not None and short[j] >= loss.prob_thr):
                continue
            margin = 0.0
            if loss.with_margin:
                margin = loss.alpha * math.log(
                    max(matrix[label][j], 1e-3) / max(matrix[j][label], 1e-3))
            total -= log_sigmoid(-(z[j] + margin))
    return total / max(len(labels), 1)


@pytest.mark.golden('fcbl_*.npz')
def test_equals_official_losses_gradients_and_state(golden):
    # Without margin the official run had alpha = 0; here the switch has to do the same.
    loss = FCBL(int(golden['C']), alpha=float(golden['alpha']),
                prob_thr=float(golden['prob_thr']), with_margin=float(golden['alpha']) > 0,
                with_weight=bool(golden['reweight']))
    calls = (golden[key] for key in ('logits', 'labels', 'loss', 'grad'))
    for logits, labels, value, grad in zip(*calls, strict=True):
        logits = logits.clone().requires_grad_()
        ours = loss(logits, labels)
        ours.backward()
        torch.testing.assert_close(ours.double(), value, rtol=1e-5, atol=0)
        torch.testing.assert_close(logits.grad, grad, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(loss.indicator.score_sum, golden['cm_numerator'].double(),
                               rtol=1e-5, atol=1e-6)
    assert torch.equal(loss.indicator.num_samples, golden['num_gt'].double())


@pytest.mark.parametrize('with_margin', [True, False])
@pytest.mark.parametrize('with_weight', [True, False])
@given(seed=st.integers(0, 10**6), num_samples=st.integers(0, 9), num_classes=st.integers(1, 5),
       scale=st.sampled_from([0.0, 1.0, 3.0]), with_ties=st.booleans(),
       alpha=st.sampled_from([0.0, 0.85, 2.0]),
       criteria=st.sampled_from([(0.7, True), (0.1, True), (None, True), (0.3, False)]))
def test_equals_the_formula_written_out(with_margin, with_weight, seed, num_samples, num_classes,
                                        scale, with_ties, alpha, criteria):
    prob_thr, above_true = criteria
    loss = trained_fcbl(seed % 7, num_classes, with_margin=with_margin, with_weight=with_weight,
                        alpha=alpha, prob_thr=prob_thr, above_true=above_true)
    logits, labels = random_batch(seed, num_samples, num_classes, scale)
    logits = logits.round() if with_ties else logits
    expected = slow_fcbl(loss, logits, labels)
    assert loss(logits, labels).item() == pytest.approx(expected, rel=1e-10)


def test_without_margin_and_weight_it_is_the_stage_one_loss():
    fcbl = trained_fcbl(with_margin=False, with_weight=False)
    stage1 = ObjectnessBCELoss(4)
    results = []
    for loss in (fcbl, stage1):
        logits, labels = random_batch(3)
        logits.requires_grad_()
        weight = torch.linspace(0, 2, len(labels), dtype=torch.float64)
        value = loss(logits, labels, weight, avg_factor=7)
        value.backward()
        results.append((value.detach(), logits.grad))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


def test_margin_punishes_the_dominating_class_more():
    # Samples of class 0 look like class 1 with 0.8; those of class 1 like class 0 with 0.1:
    # margin 0 -> 1 is alpha * ln 8, and the reverse is its negative.
    loss = FCBL(2, alpha=0.5)
    loss.indicator.score_sum.copy_(torch.tensor([[0.2, 0.8], [0.1, 0.9]]))
    loss.indicator.num_samples.fill_(1)
    margin = balance_margin(loss.indicator, torch.tensor([0, 1, 2]), loss.alpha)
    expected = [[0, 0.5 * math.log(8), 0], [-0.5 * math.log(8), 0, 0], [0, 0, 0]]
    assert margin.tolist() == [pytest.approx(row) for row in expected]


def test_weight_keeps_what_confuses():
    # True class 0 with p = 0.5; class 1 below, class 2 above it, background far below.
    logits = torch.tensor([[0.0, -1.0, 1.0, -20.0]]).repeat(2, 1)
    labels = torch.tensor([0, 3])
    assert balance_weight(logits, labels, prob_thr=0.9).tolist() == [
        [True, False, True, True], [True, True, True, True]]
    # The threshold alone lets class 1 (p = 0.27) in.
    assert balance_weight(logits, labels, prob_thr=0.2)[0].tolist() == [True] * 4


@pytest.mark.parametrize('criteria, active_for_0', [
    # True class 0 has p = 0.27, class 1 0.12, class 2 0.5, class 3 0.73.
    (dict(prob_thr=0.6), [True, False, True, True, True]),
    (dict(prob_thr=0.1), [True, True, True, True, True]),
    (dict(prob_thr=None), [True, False, True, True, True]),
    (dict(prob_thr=0.6, above_true=False), [True, False, False, True, True]),
    (dict(prob_thr=None, above_true=False), [True, False, False, False, True])])
def test_each_criterion_of_the_weight_works_alone(criteria, active_for_0):
    logits = torch.tensor([[-1.0, -2.0, 0.0, 1.0, -30.0]]).repeat(2, 1)
    active = balance_weight(logits, torch.tensor([0, 4]), **criteria)
    assert active.tolist() == [active_for_0, [True] * 5]


def test_loss_passes_its_criteria_on():
    logits, labels = random_batch(8)
    loss = trained_fcbl(prob_thr=0.4, above_true=False).eval()
    margin = balance_margin(loss.indicator, labels, loss.alpha)
    active = balance_weight(logits, labels, 0.4, above_true=False)
    expected = fcbl_loss(logits, labels, margin, active).sum() / len(labels)
    torch.testing.assert_close(loss(logits, labels), expected)
    assert loss(logits, labels) != trained_fcbl(prob_thr=0.4).eval()(logits, labels)


def test_a_tie_with_the_true_class_counts():
    active = balance_weight(torch.zeros(1, 3), torch.tensor([0]), prob_thr=0.9)
    assert active.tolist() == [[True, True, True]]


def test_weight_is_no_function_of_the_margin():
    # A strong margin lifts class 1 over class 0, but the raw logits decide what counts.
    loss = FCBL(2, alpha=1.0)
    loss.indicator.score_sum.copy_(torch.tensor([[0.5, 0.5], [0.001, 0.999]]))
    loss.indicator.num_samples.fill_(1)
    value = loss(torch.tensor([[1.0, 0.0, -30.0]]), torch.tensor([0]))
    assert value.item() == pytest.approx(-math.log(1 / (1 + math.exp(-1))), rel=1e-5)


def test_gradient_is_that_of_the_formula():
    loss = trained_fcbl()
    logits, labels = random_batch(5)
    margin = balance_margin(loss.indicator, labels, loss.alpha)
    active = balance_weight(logits, labels, loss.prob_thr)
    assert gradcheck(lambda z: fcbl_loss(z, labels, margin, active).sum(),
                     logits.requires_grad_())


def test_the_loss_uses_what_was_known_before_the_step():
    loss, frozen = trained_fcbl(), trained_fcbl()
    frozen.eval()
    logits, labels = random_batch(1)
    assert loss(logits, labels) == frozen(logits, labels)
    assert loss(logits, labels) != frozen(logits, labels)


def test_in_eval_no_buffer_changes():
    loss = trained_fcbl().eval()
    before = {name: buffer.clone() for name, buffer in loss.named_buffers()}
    loss(*random_batch(2))
    assert before and all(torch.equal(buffer, before[name])
                          for name, buffer in loss.named_buffers())


def test_indicator_state_is_in_the_checkpoint_and_the_log_counters_are_not():
    loss = trained_fcbl()
    loss(*random_batch(1))
    state = loss.state_dict()
    assert set(state) == {'indicator.score_sum', 'indicator.num_samples'}
    copy = FCBL(4)
    copy.load_state_dict(state)
    batch = random_batch(2)
    assert copy.eval()(*batch) == loss.eval()(*batch)


def test_avg_factor_weight_and_loss_weight_are_honoured():
    logits, labels = random_batch(4)
    plain = trained_fcbl().eval()
    per_sample = plain(logits, labels, reduction_override='none')
    weight = torch.arange(len(labels), dtype=torch.float64)
    scaled = trained_fcbl(loss_weight=2.0).eval()
    expected = 2 * (per_sample * weight).sum() / 5
    torch.testing.assert_close(scaled(logits, labels, weight, avg_factor=5), expected)
    assert scaled(logits, labels, torch.zeros(len(labels)), avg_factor=5) == 0


def test_reweighting_switch_turns_the_weights_off():
    batch = random_batch(8)
    loss = trained_fcbl().eval()
    with_weights = loss(*batch)
    loss.reweighting = False
    assert loss(*batch) == trained_fcbl(with_weight=False).eval()(*batch) != with_weights


def test_share_of_active_negatives_is_counted_over_steps():
    loss = FCBL(3, prob_thr=0.9)
    # Sample 0: one of two negatives counts. Sample 1 (background) has none of interest.
    logits = torch.tensor([[0.0, -1.0, 1.0, -20.0], [0.0, 0.0, 0.0, 0.0]])
    loss(logits, torch.tensor([0, 3]))
    loss(logits, torch.tensor([1, 3]))  # here both others beat the true class
    assert loss.scalars() == {'fcbl/active_negatives': pytest.approx(3 / 4)}
    assert math.isnan(loss.scalars()['fcbl/active_negatives'])


def test_no_samples_give_a_differentiable_zero():
    logits = torch.zeros(0, 5, requires_grad=True)
    value = trained_fcbl()(logits, torch.zeros(0, dtype=torch.long))
    value.backward()
    assert value.item() == 0


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_keeps_indicator_in_float64_and_loss_finite(dtype):
    loss = trained_fcbl()
    logits, labels = random_batch(6, scale=1e4)
    logits = logits.to(dtype).requires_grad_()
    value = loss(logits, labels)
    value.backward()
    assert value.isfinite() and logits.grad.isfinite().all()
    assert loss.indicator.score_sum.dtype == torch.float64
    assert loss.indicator.score_sum.isfinite().all()


def test_weights_without_a_criterion_are_refused():
    with pytest.raises(ValueError, match=r'FCBL\(prob_thr=None, above_true=False\)'):
        FCBL(3, prob_thr=None, above_true=False)
    FCBL(3, prob_thr=None, above_true=False, with_weight=False)


@pytest.mark.parametrize('kwargs, name', [
    (dict(alpha=-0.1), 'alpha='), (dict(prob_thr=1.5), 'prob_thr=')])
def test_arguments_out_of_range_are_named(kwargs, name):
    with pytest.raises(ValueError, match=name):
        FCBL(3, **kwargs)


def test_something_else_than_an_indicator_is_refused():
    with pytest.raises(TypeError, match='indicator='):
        FCBL(3, indicator=dict(type='ObjectnessBCELoss'))


def test_works_as_loss_cls_of_mmdets_own_head():
    head = MODELS.build(dict(
        type='Shared2FCBBoxHead', in_channels=2, fc_out_channels=8, roi_feat_size=2,
        num_classes=4, loss_cls=dict(type='FCBL', num_classes=4),
        loss_bbox=dict(type='L1Loss')))
    assert head.fc_cls.out_features == 5
    rois = torch.tensor([[0, 0., 0., 9., 9.]] * 3)
    cls_score, bbox_pred = head(torch.randn(3, 2, 2, 2))
    labels = torch.tensor([1, 4, 4])
    losses = head.loss(cls_score, bbox_pred, rois, labels, torch.ones(3), torch.zeros(3, 4),
                       torch.zeros(3, 4))
    expected = FCBL(4)(cls_score.detach(), labels)
    torch.testing.assert_close(losses['loss_cls'].detach(), expected)
    losses['loss_cls'].backward()
    assert head.fc_cls.weight.grad.abs().sum() > 0
    assert head.loss_cls.indicator.num_samples.tolist() == [0, 1, 0, 0]
    scores = head.eval().predict_by_feat(
        (rois,), (cls_score.detach(),), (bbox_pred.detach(),), [dict(img_shape=(10, 10))])
    expected = head.loss_cls.get_activation(cls_score.detach())[:, :-1]
    torch.testing.assert_close(scores[0].scores.view(3, -1)[:, :4], expected)


def test_samples_of_weight_0_are_not_shown_to_the_indicator():
    logits, labels = random_batch(0, 30)
    weight = torch.ones(30).double()
    weight[::2] = 0
    part, whole = FCBL(4).train(), FCBL(4).train()
    part(logits[1::2], labels[1::2], weight[1::2])
    whole(logits, labels, weight)
    torch.testing.assert_close(whole.indicator.state_dict(), part.indicator.state_dict())
    assert part.indicator.value().any()
