import math

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bacl.models.losses import GroupSoftmaxLoss
from bacl.models.losses.group_softmax import sample_others
from bacl.models.roi_heads.score_nms import activation_kind
from hypothesis import given
from hypothesis import strategies as st
from mmdet.registry import MODELS


def numpy_twin(logits, labels, counts, thresholds, weights):
    """The definition, in loops; weights (N, G + 1) say which samples train which group."""
    num_classes, num_groups = len(counts), len(thresholds) + 1
    groups = [[c for c in range(num_classes) if sum(counts[c] >= t for t in thresholds) == g]
              for g in range(num_groups)]
    channels = [[num_classes + g, *group] for g, group in enumerate(groups)]
    channels.append([num_classes + num_groups, num_classes + num_groups + 1])
    loss, scores = 0.0, np.zeros((len(labels), num_classes + 1))
    for g, group in enumerate(channels):
        total = 0.0
        for n, label in enumerate(labels):
            softmax = np.exp(logits[n, group]) / np.exp(logits[n, group]).sum()
            if g == num_groups:
                right = int(label == num_classes)
                scores[n, -1] = softmax[1]
                for c in range(num_classes):
                    scores[n, c] *= softmax[0]
            else:
                right = group.index(label) if label in group[1:] else 0
                for c in groups[g]:
                    scores[n, c] = softmax[group.index(c)]
            total -= weights[n, g] * np.log(softmax[right])
        loss += total / max(weights[:, g].sum(), 1)
    return loss, scores


def take_in_order(monkeypatch, weights):
    """Let the samples that have weight (G, N) be the first ones in every draw."""
    monkeypatch.setattr('bacl.ops.random_draw.torch.rand',
                        lambda shape, device: 0.5 - 0.25 * weights.double())


class Official:
    """Labels from 0 and channels of an official code in the order of ours."""

    def __init__(self, golden, name):
        num_classes = int(golden['num_classes'])
        counts = golden['instance_count'].tolist()
        edges = golden['bin_edges'].tolist()
        groups = [[c for c in range(num_classes) if sum(counts[c] >= edge for edge in edges) == g]
                  for g in range(len(edges) + 1)]
        others = num_classes + np.arange(len(groups))
        objectness = [num_classes + len(groups), num_classes + len(groups) + 1]
        grouped = [channel for g, group in enumerate(groups) for channel in (others[g], *group)]
        if name == 'bags.npz':  # background first, in labels, channels and groups
            self.ours = [*objectness[::-1], *grouped]
            self.labels = (golden['labels'] - 1) % (num_classes + 1)
            self.scores = golden['scores'].roll(-1, dims=1)
            self.weights = {case: golden[f'{case}_bin_weights'][1:] for case in ('sampled', 'all')}
        else:
            self.ours = [*grouped, *objectness]
            self.labels, self.scores = golden['labels'], golden['scores']
            self.weights = {case: golden[f'{case}_group_weights'][:-1]
                            for case in ('sampled', 'all')}
        self.loss = lambda case: GroupSoftmaxLoss(
            num_classes, edges, float(golden[f'{case}_beta']), counts=counts)


@pytest.mark.golden('bags*.npz')
@pytest.mark.parametrize('case', ['sampled', 'all'])
def test_equals_official_losses_gradients_and_scores(golden, request, case, monkeypatch):
    official = Official(golden, request.node.callspec.params['golden'])
    loss = official.loss(case)
    logits = torch.empty_like(golden['logits'])
    logits[:, official.ours] = golden['logits']
    take_in_order(monkeypatch, official.weights[case])
    value = loss(logits.requires_grad_(), official.labels)
    value.backward()
    for ours, theirs in ((value.detach(), golden[f'{case}_loss']),
                         (logits.grad[:, official.ours], golden[f'{case}_grad']),
                         (loss.get_activation(logits).detach(), official.scores)):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-14)


@pytest.mark.golden('bags*.npz')
def test_draws_as_many_others_as_the_official_codes(golden, request):
    official = Official(golden, request.node.callspec.params['golden'])
    loss = official.loss('sampled')
    group = loss.class_counts.group[official.labels]
    chosen = sample_others(group, loss.num_groups, loss.others_ratio)
    assert torch.equal(chosen[:, :-1].sum(0), official.weights['sampled'].sum(1).double())
    assert chosen[:, -1].all()


@given(seed=st.integers(0, 99), counts=st.lists(st.integers(0, 3000), min_size=1, max_size=6),
       thresholds=st.lists(st.sampled_from([2, 10, 100, 1000]), unique=True).map(sorted))
def test_equals_the_definition_in_loops(seed, counts, thresholds):
    generator = torch.Generator().manual_seed(seed)
    loss = GroupSoftmaxLoss(len(counts), thresholds, others_ratio=1e6, counts=counts)
    logits = torch.randn(7, loss.get_cls_channels(len(counts)), generator=generator,
                         dtype=torch.float64)
    labels = torch.randint(len(counts) + 1, (7,), generator=generator)
    weight = torch.rand(7, generator=generator, dtype=torch.float64) + 0.1
    group = loss.class_counts.group[labels]
    # Without classes of a group in the batch, nothing trains it.
    trains = torch.stack([(group == g).any().expand(7) for g in range(len(thresholds) + 1)]
                         + [torch.ones(7, dtype=torch.bool)], dim=1)
    expected, scores = numpy_twin(logits.numpy(), labels.tolist(), counts, thresholds,
                                  (trains * weight[:, None]).numpy())
    assert loss(logits, labels, weight, avg_factor=7).item() == pytest.approx(expected)
    assert loss.get_activation(logits).numpy() == pytest.approx(scores)


def test_one_group_without_draws_is_a_softmax_of_classes_and_others_and_one_of_objects():
    loss = GroupSoftmaxLoss(3, thresholds=(), others_ratio=10, counts=[1, 10, 100])
    logits, labels = torch.randn(5, 6), torch.tensor([0, 1, 2, 3, 3])
    expected = F.cross_entropy(logits[:, :4], labels) + F.cross_entropy(
        logits[:, 4:], (labels == 3).long())
    torch.testing.assert_close(loss(logits, labels), expected)


def test_numbers_by_hand():
    # One class per group, a sample of the first and a background sample; logits 0.
    loss = GroupSoftmaxLoss(2, thresholds=(10,), counts=[1, 10])
    logits = torch.zeros(2, 6, requires_grad=True)
    value = loss(logits, torch.tensor([0, 2]))
    value.backward()
    assert value.item() == pytest.approx(2 * math.log(2))
    assert logits.grad[:, [1, 3]].count_nonzero() == 0  # class 1 and its others: not trained
    assert loss.get_activation(logits)[0].tolist() == [0.25, 0.25, 0.5]


def test_the_channels_of_lvis_v1_are_six_more_than_the_classes():
    sizes = [200, 412, 334, 257]  # of the groups
    counts = [count for count, size in zip((9, 10, 100, 1000), sizes, strict=True)
              for _ in range(size)]
    loss = GroupSoftmaxLoss(counts=counts, num_classes=1203)
    assert loss.get_cls_channels(1203) == 1209
    assert loss.class_counts.sizes == [201, 413, 335, 258, 2]
    scores = loss.get_activation(torch.zeros(1, 1209))[0]
    assert scores[200].item() == pytest.approx(0.5 / 413) and scores[-1] == 0.5


@pytest.mark.parametrize('seed', range(3))
def test_draws_are_of_other_samples_and_a_ratio_of_those_of_the_group(seed):
    torch.manual_seed(seed)
    group = torch.tensor([0, 0, 1, 2, 2, 2, 2, 2, 2, 2])  # of two groups and background
    is_present = torch.ones(10, dtype=torch.bool)
    is_present[[1, 9]] = False
    chosen = sample_others(group, 2, 2.5, is_present).t()
    assert chosen[0, 0] == 1 and not chosen[0, [1, 9]].any() and chosen[0].sum() == 1 + 2
    assert chosen[1, 2] == 1 and chosen[1].sum() == 1 + 2
    assert chosen[2].all()


def test_every_other_sample_is_drawn_as_often():
    torch.manual_seed(0)
    group = torch.tensor([0] + [1] * 9)
    times = sum(sample_others(group, 1, 3)[:, 0] for _ in range(600))
    mean = sample_others(group, 1, 3, at_random=False)[:, 0]
    assert mean.tolist() == pytest.approx([1] + [1 / 3] * 9)
    assert times[0] == 600 and times[1:].sum() == 3 * 600
    assert ((times[1:] - 200).abs() < 60).all()  # five standard deviations


def test_in_evaluation_nothing_is_drawn():
    loss = GroupSoftmaxLoss(2, (10,), others_ratio=1, counts=[1, 10])
    logits, labels = torch.randn(6, 6), torch.tensor([0, 2, 2, 2, 2, 2])
    assert len({loss(logits, labels).item() for _ in range(20)}) > 1
    assert len({loss.eval()(logits, labels).item() for _ in range(20)}) == 1


def test_a_sample_of_weight_zero_is_as_if_it_were_not_there():
    loss = GroupSoftmaxLoss(3, (10,), others_ratio=10, counts=[1, 10, 100])
    logits, labels = torch.randn(4, 7), torch.tensor([0, 1, 3, 2])
    for absent in range(4):
        weight, rest = torch.ones(4), [n for n in range(4) if n != absent]
        weight[absent] = 0
        torch.testing.assert_close(loss(logits, labels, weight, avg_factor=3.0),
                                   loss(logits[rest], labels[rest], avg_factor=3.0))


def test_a_checkpoint_brings_the_groups_and_a_loss_without_counts_says_so():
    saved, restored = GroupSoftmaxLoss(3, counts=[5, 50, 500]), GroupSoftmaxLoss(3)
    logits = torch.randn(2, 9)
    for ask in (restored.get_activation, lambda z: restored(z, torch.tensor([0, 3]))):
        with pytest.raises(RuntimeError, match='no counts'):
            ask(logits)
    restored.load_state_dict(saved.state_dict())
    assert torch.equal(restored.get_activation(logits), saved.get_activation(logits))
    assert list(saved.state_dict()) == ['class_counts.counts']


def test_calibrators_know_the_kind_of_its_scores_before_there_are_counts():
    head = MODELS.build(dict(
        type='Shared2FCBBoxHead', num_classes=3, in_channels=2, fc_out_channels=4, roi_feat_size=1,
        loss_cls=dict(type='GroupSoftmaxLoss')))
    assert head.fc_cls.out_features == 9
    assert activation_kind(head) == 'sigmoid'
    head.loss_cls.class_counts.set_counts([5, 50, 500])
    assert head.loss_cls.get_activation(torch.zeros(1, 9)).sum() != 1


@pytest.mark.parametrize('kwargs, name', [(dict(thresholds=(10, 10)), 'thresholds='),
                                          (dict(others_ratio=-1), 'others_ratio=')])
def test_arguments_out_of_range_are_named(kwargs, name):
    with pytest.raises(ValueError, match=name):
        GroupSoftmaxLoss(3, **kwargs)
