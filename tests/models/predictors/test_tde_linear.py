import math

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bacl.models.predictors import TDELinear, exchange_classes, tde_linear, without_direction
from hypothesis import given
from hypothesis import strategies as st

official_numbers = pytest.mark.golden('tde.npz')
C, D = 3, 6


def official_layer(golden):
    out_features, in_features = golden['weight'].shape
    layer = TDELinear(in_features, out_features, int(golden['num_head']), float(golden['tau']),
                      float(golden['gamma']), float(golden['alpha']), float(golden['mu'])).double()
    layer.weight.data = golden['weight']
    layer.direction.copy_(golden['embed_before'][0])
    return layer


def batch(num=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(num, D, generator=generator),
            torch.randint(C + 1, (num,), generator=generator))


@official_numbers
@pytest.mark.parametrize('dtype, rtol', [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_equals_official_training(golden, dtype, rtol):
    layer = official_layer(golden)
    layer.weight.data = layer.weight.data.to(dtype)
    for step, labels in enumerate(golden['labels']):
        feats = golden['features'][step].to(dtype).requires_grad_()
        layer.zero_grad()
        logits = layer(feats)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        layer.observe(feats.detach(), labels)
        # The official direction is that of the background; the one here is what is meant.
        for ours, theirs in ((logits, golden['train_logits'][step]), (loss, golden['loss'][step]),
                             (feats.grad, golden['grad_features'][step]),
                             (layer.weight.grad, golden['grad_weight'][step]),
                             (layer.direction, golden['fgonly_embed_after'][step, 0])):
            theirs = theirs.to(ours.dtype)
            torch.testing.assert_close(ours.detach(), theirs, rtol=rtol,
                                       atol=rtol * theirs.abs().max().item())


@official_numbers
@pytest.mark.parametrize('direction', ['official', 'fgonly', 'given'])
def test_equals_official_scores(golden, direction):
    layer = official_layer(golden).eval()
    embeds = golden['given_embed'] if direction == 'given' else \
        golden[f'{direction}_embed_after'][-1]
    layer.direction.copy_(embeds[0])
    feats, direct = golden['test_features'], golden[f'{direction}_test_logits_minus_effect']
    logits = golden['test_logits_no_tde']
    torch.testing.assert_close(layer(feats).detach(), exchange_classes(logits, direct), rtol=1e-9,
                               atol=1e-9 * logits.abs().max().item())
    # The official code adds 1e-10 to the probability of each class and to their sum.
    guard = 1e-10 * direct.size(1) / (1 - direct.softmax(1)[:, -1:])
    error = (layer(feats).softmax(dim=1) - golden[f'{direction}_test_scores']).abs()
    assert (error <= 1e-9 + guard).all()
    layer.alpha = 0.0
    torch.testing.assert_close(layer(feats).detach(), logits, rtol=1e-9, atol=1e-12)


@official_numbers
def test_equals_a_twin_that_goes_over_rois_classes_and_heads(golden):
    layer = official_layer(golden).eval()
    layer.direction.copy_(golden['fgonly_embed_after'][-1, 0])
    heads, weight = layer.num_heads, golden['weight'].numpy()
    size = weight.shape[1] // heads
    scores = layer(golden['test_features']).softmax(dim=1).detach().numpy()
    direction = layer.direction.numpy()
    for feat, row in zip(golden['test_features'].numpy(), scores, strict=True):
        plain, direct = np.zeros(len(weight)), np.zeros(len(weight))
        for label, vector in enumerate(weight):
            for k in range(heads):
                part = slice(k * size, (k + 1) * size)
                x, w, e = feat[part], vector[part], direction[part]
                w = w / (np.linalg.norm(w) + layer.gamma)
                x, e = x / np.linalg.norm(x), e / np.linalg.norm(e)
                plain[label] += layer.temperature / heads * x @ w
                direct[label] += layer.temperature / heads * (x - layer.alpha * (x @ e) * e) @ w
        p, q = (np.exp(z) / np.exp(z).sum() for z in (plain, direct))
        expected = np.append((1 - p[-1]) * q[:-1] / q[:-1].sum(), p[-1])
        np.testing.assert_allclose(row, expected, atol=1e-8)


def test_by_hand():
    # One head: features in the direction of the class weight, of length 1.
    layer = TDELinear(2, 2, num_heads=1)
    layer.weight.data = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    feats = torch.tensor([[0.0, 5.0]])
    assert layer(feats).tolist() == [[pytest.approx(16 / (1 + 1 / 32)), 0]]
    layer.observe(torch.tensor([[3.0, 3.0], [1.0, 9.0]]), torch.tensor([0, 1]))  # 1: background
    assert layer.direction.tolist() == [3, 3]
    layer.observe(torch.tensor([[4.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 0]))
    assert layer.direction.tolist() == pytest.approx([0.9998 * 3 + 2, 0.9998 * 3 + 1])


@given(alpha=st.floats(0, 3), turn=st.floats(0, 2 * math.pi))
def test_a_direction_is_taken_out_by_its_cosine(alpha, turn):
    feats = torch.tensor([[[math.cos(turn), math.sin(turn)]]], dtype=torch.float64)
    direction = torch.tensor([[5.0, 0.0]], dtype=torch.float64)
    expected = [(1 - alpha) * math.cos(turn), math.sin(turn)]
    assert without_direction(3 * feats, direction, alpha).flatten().tolist() == pytest.approx(
        expected, abs=1e-8)


@given(st.lists(st.floats(-30, 30), min_size=8, max_size=8))
def test_the_background_keeps_its_probability_and_the_classes_share_the_rest(values):
    logits, others = torch.tensor(values, dtype=torch.float64).reshape(2, 1, 4)
    p, q = logits.softmax(1), others.softmax(1)
    mixed = exchange_classes(logits, others).softmax(1)
    torch.testing.assert_close(mixed[:, -1], p[:, -1])
    torch.testing.assert_close(mixed[:, :-1] / mixed[:, :-1].sum(),
                               q[:, :-1] / q[:, :-1].sum())
    torch.testing.assert_close(exchange_classes(logits, logits), logits, atol=1e-9, rtol=0)


def test_before_the_first_step_a_test_is_the_plain_classifier():
    layer, (feats, _) = TDELinear(D, C + 1), batch()
    expected = layer(feats)
    torch.testing.assert_close(layer.eval()(feats), expected)


def test_zero_blocks_and_zero_features_are_finite_with_finite_gradient():
    layer, (feats, labels) = TDELinear(D, C + 1), batch(2)
    layer.observe(*batch())
    feats[0, :3], feats[1] = 0, 0
    for mode in (True, False):
        logits = layer.train(mode)(feats.requires_grad_())
        F.cross_entropy(logits, labels).backward()
        assert logits.isfinite().all() and feats.grad.isfinite().all()


@pytest.mark.parametrize('labels', [[C] * 8, []])
def test_a_step_without_foreground_leaves_the_direction_alone(labels):
    layer = TDELinear(D, C + 1)
    layer.observe(*batch())
    before = layer.direction.clone()
    layer.observe(torch.rand(len(labels), D), torch.tensor(labels, dtype=torch.long))
    assert before.any() and torch.equal(layer.direction, before)


@pytest.mark.parametrize('labels', [[0, 1, C], [C, C, C], []])
def test_every_rank_takes_part_and_all_have_the_mean_of_all(monkeypatch, labels):
    """Another rank has two foreground features of ones."""
    calls = []

    def all_reduce(sums):
        calls.append(sums)
        sums += torch.tensor([2.0] * D + [2.0])

    monkeypatch.setattr(tde_linear, 'all_reduce', all_reduce)
    layer, feats = TDELinear(D, C + 1), torch.full((len(labels), D), 4.0)
    layer.observe(feats, torch.tensor(labels, dtype=torch.long))
    assert len(calls) == 1
    num = sum(label < C for label in labels)
    assert layer.direction.tolist() == [(4 * num + 2) / (num + 2)] * D


def test_a_restored_layer_goes_on_as_the_saved_one():
    saved = TDELinear(D, C + 1)
    saved.observe(*batch())
    restored = TDELinear(D, C + 1)
    restored.load_state_dict(saved.state_dict())
    for layer in (saved, restored):
        layer.observe(*batch(seed=1))
    assert torch.equal(restored.direction, saved.direction)
    feats, _ = batch(seed=2)
    assert torch.equal(restored.eval()(feats), saved.eval()(feats))


@pytest.mark.parametrize('kwargs', [dict(num_heads=4), dict(num_heads=0), dict(temperature=0),
                                    dict(gamma=0), dict(alpha=-1), dict(decay=1)])
def test_arguments_out_of_range_are_named(kwargs):
    with pytest.raises(ValueError, match=f'TDELinear.{next(iter(kwargs))}='):
        TDELinear(D, C + 1, **kwargs)
