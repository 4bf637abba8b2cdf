import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.models.augmenters import FASA, Samples, fasa, inverse_count_probability
from bacl.models.losses import SoftmaxCELoss
from bacl.models.roi_heads.classifier_tap import ClassifierTap
from torch import nn

official_numbers = pytest.mark.golden('fasa.npz')
COUNTS = [1, 10, 100]


def official_fasa(golden, num_updates=3, **kwargs):
    """With the statistics after a number of updates."""
    augmenter = FASA(
        int(golden['num_classes']), int(golden['feat_dim']), float(golden['decay_ratio']),
        float(golden['loss_aug_weight']), float(golden['instance_prob_scale']),
        float(golden['instance_prob_power']), float(golden['dynamic_up']),
        float(golden['dynamic_down']), counts=golden['instance_count'], **kwargs).double()
    for update in range(num_updates):
        augmenter.distribution.observe(golden[f'embeddings_{update}'], golden[f'labels_{update}'])
        for ours, theirs in ((augmenter.distribution.mean, 'feature_mean'),
                             (augmenter.distribution.var, 'feature_var'),
                             (augmenter.distribution.is_known.double(), 'used')):
            torch.testing.assert_close(ours, golden[f'{theirs}_after_{update}'],
                                       rtol=1e-9, atol=1e-12)
    return augmenter


def draw(augmenter, uniform, noise):
    """Virtual features; the void ones have no noise in a golden file."""
    labels = augmenter.draw(uniform)
    num_void = len(labels) - len(noise)
    assert (labels[len(noise):] == augmenter.num_classes).all()
    return augmenter.generate(labels, torch.cat([noise, noise.new_zeros(
        num_void, noise.size(1))])[:, None])


@official_numbers
def test_equals_official_probabilities_and_virtual_features(golden):
    augmenter = official_fasa(golden)
    torch.testing.assert_close(augmenter.current_probability(), golden['prob_initial'],
                               rtol=1e-9, atol=0)
    extra = draw(augmenter, golden['gen_uniform'], golden['gen_noise'])
    num = len(golden['gen_labels'])
    assert torch.equal(extra.labels[:num], golden['gen_labels'])
    torch.testing.assert_close(extra.feats[:num], golden['gen_features'], rtol=1e-9, atol=1e-12)
    assert extra.total_weight == golden['loss_aug_weight']


class Head(nn.Module):
    with_reg = False

    def __init__(self, golden):
        super().__init__()
        self.num_classes = int(golden['num_classes'])
        self.fc_cls = nn.Linear(*golden['fc_weight'].t().shape).double()
        self.fc_cls.load_state_dict(dict(weight=golden['fc_weight'], bias=golden['fc_bias']))
        self.loss_cls = SoftmaxCELoss(self.num_classes)


@official_numbers
def test_equals_the_official_step(golden):
    """Statistics of the positive RoIs, both losses, gradients."""
    head, augmenter = Head(golden), official_fasa(golden)
    feats = golden['step_features'].clone().requires_grad_()
    labels, weights = golden['step_labels'], golden['step_label_weights']

    def exchange(rois, boxes):
        augmenter.distribution.observe(rois, labels)
        return draw(augmenter, golden['step_uniform'], golden['step_noise'])

    with ClassifierTap(head, len(labels), exchange):
        loss = head.loss_cls(head.fc_cls(feats), labels, weights,
                             avg_factor=float((weights > 0).sum()))
    loss.backward()
    for ours, theirs in (
            (loss.detach(), 'loss'), (feats.grad, 'grad_features'),
            (head.fc_cls.weight.grad, 'grad_fc_weight'), (head.fc_cls.bias.grad, 'grad_fc_bias'),
            (augmenter.distribution.mean, 'feature_mean_after'),
            (augmenter.distribution.var, 'feature_var_after'),
            (augmenter.distribution.is_known.double(), 'used_after')):
        torch.testing.assert_close(ours, golden[f'step_{theirs}'], rtol=1e-9, atol=1e-12)


@official_numbers
def test_equals_the_official_adaptation_with_given_groups(golden):
    augmenter = official_fasa(golden, held_out=True).eval()
    torch.testing.assert_close(augmenter.current_probability(), golden['dyn_prob_before'],
                               rtol=1e-9, atol=0)
    for logits, labels, *expected in zip(
            golden['dyn_logits'], golden['dyn_labels'], golden['dyn_cum_losses'],
            golden['dyn_cum_labels'], golden['dyn_prob_after'], golden['dyn_cum_loss_t0_after'],
            strict=True):
        augmenter.observe(logits, labels, len(labels))
        collected = augmenter.loss_sum.clone(), augmenter.num_rois.clone()
        augmenter.adapt(golden['dyn_groups'], torch.arange(augmenter.num_classes))
        for ours, theirs in zip((*collected, augmenter.current_probability(),
                                 augmenter.reference_loss), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
        assert not augmenter.num_rois.any() and not augmenter.loss_sum.any()


def rois(labels, num_feats=2):
    labels = torch.tensor(labels, dtype=torch.long)
    return Samples(torch.randn(len(labels), num_feats), labels)


def test_probabilities_by_hand():
    counts = torch.tensor(COUNTS, dtype=torch.float64)
    assert inverse_count_probability(counts).tolist() == pytest.approx(
        [1 / 1.11, 0.1 / 1.11, 0.01 / 1.11])
    assert inverse_count_probability(counts).sum().item() == pytest.approx(1)
    assert inverse_count_probability(counts, scale=2).tolist() == pytest.approx(
        [1, 0.2 / 1.11, 0.02 / 1.11])
    assert inverse_count_probability(counts, power=0).tolist() == [1, 1, 1]
    assert inverse_count_probability(torch.tensor([0., 1.])).tolist() == [0.5, 0.5]


def test_the_first_epoch_only_collects():
    augmenter = FASA(3, 2, counts=COUNTS)
    extra = augmenter(rois([0, 0, 1, 3]), None, None)
    assert len(extra.feats) == len(extra.labels) == 0 and extra.total_weight == 0.1
    assert augmenter.distribution.is_known.tolist() == [True, True, False]
    assert augmenter.scalars()['fasa/probability'].shape == (3,)


@pytest.mark.parametrize('on_gpu', [False, True], ids=['', 'as on a GPU'])
def test_known_classes_are_drawn_by_their_probability(monkeypatch, on_gpu):
    if on_gpu:
        monkeypatch.setattr('bacl.ops.class_groups.is_on_cpu', lambda tensor: False)
    torch.manual_seed(0)
    augmenter = FASA(4, 2, counts=[1, 3, 12, 1], max_features=3)
    augmenter(rois([0, 1, 2, 4, 4]), None, None)
    augmenter.start_epoch(1)
    counts = torch.zeros(5)
    for _ in range(300):
        extra = augmenter(rois([]), None, None)
        assert len(extra.labels) == 3 or not on_gpu
        counts += torch.bincount(extra.labels, minlength=5)
    expected = 300 * augmenter.current_probability()[:3]
    # Of a binomial distribution: four standard deviations leave a chance of 1e-4.
    assert ((counts[:3] - expected).abs() < 4 * expected.sqrt()).all()
    assert counts[3] == 0  # never seen


def test_of_too_many_drawn_classes_those_with_the_most_excess_stay():
    augmenter = FASA(4, 2, counts=[1, 1, 1, 1], scale=4, max_features=2)
    augmenter.distribution.is_known.fill_(True)
    assert augmenter.draw(torch.tensor([0.9, 0.1, 0.5, 0.2]).double()).tolist() == [1, 3]


@pytest.mark.parametrize('held_out', [False, True])
def test_losses_are_those_of_training_or_of_held_out_images(held_out):
    augmenter = FASA(2, 2, counts=[1, 1], held_out=held_out)
    logits, labels = torch.zeros(4, 3), torch.tensor([0, 2, 0, 1])  # the last is virtual
    for mode in (True, False):
        augmenter.train(mode).observe(logits, labels, 3)
    assert augmenter.num_rois.tolist() == [2, 0, 1]
    assert augmenter.loss_sum.tolist() == pytest.approx([2 * np.log(3), 0, np.log(3)])


def test_falling_losses_raise_the_probability_and_rising_ones_lower_it():
    """Two clusters of classes; the mean of the first falls, that of the second rises."""
    augmenter = FASA(5, 2, counts=[100] * 5)
    feats = torch.tensor([[0., 0.], [0.1, 0.], [9., 9.], [9., 9.1]])
    augmenter.distribution.observe(feats, torch.tensor([0, 1, 2, 3]))
    labels = torch.tensor([0, 1, 2, 3])
    for epoch, confidence in enumerate([[1, 1, 1, 1], [3, 0.5, 0, 0.5], [5, 3, 2, 3]]):
        logits = torch.zeros(4, 6).scatter_(1, labels[:, None],
                                            torch.tensor(confidence).float()[:, None])
        augmenter.observe(logits, labels, 4)
        augmenter.start_epoch(epoch + 1)
        expected = [[1] * 5, [1.1, 1.1, 0.9, 0.9, 1], [1.21, 1.21, 0.99, 0.99, 1]][epoch]
        assert augmenter.current_probability().tolist() == pytest.approx(
            [0.2 * factor for factor in expected])


def test_a_restored_augmenter_goes_on_as_the_saved_one():
    saved = FASA(3, 2, counts=COUNTS)
    saved(rois([0, 1, 1, 3]), None, None)
    for epoch in (1, 2):
        saved.observe(torch.randn(4, 4), torch.tensor([0, 1, 1, 3]), 4)
        if epoch == 1:
            saved.start_epoch(epoch)
    restored = FASA(3, 2)  # counts of the checkpoint
    restored.load_state_dict(saved.state_dict())
    for augmenter in (saved, restored):
        augmenter.start_epoch(2)
        torch.manual_seed(0)
        augmenter.extra = augmenter(rois([2]), None, None)
    assert torch.equal(saved.probability, restored.probability)
    assert (saved.probability[:2] != inverse_count_probability(
        torch.tensor(COUNTS).double())[:2]).all()
    assert torch.equal(saved.extra.feats, restored.extra.feats)


@pytest.mark.parametrize('labels', [[0, 3], [3, 3], []])
def test_every_batch_takes_part_in_the_sum_over_ranks(monkeypatch, labels):
    """Two ranks with the same batch: sums double, also those without samples."""
    calls = []
    monkeypatch.setattr(fasa, 'all_reduce', lambda sums: calls.append(sums.mul_(2)))
    augmenter = FASA(3, 2, counts=COUNTS)
    augmenter.observe(torch.zeros(len(labels), 4), torch.tensor(labels, dtype=torch.long),
                      len(labels))
    assert len(calls) == 1 and augmenter.num_rois.sum() == 2 * len(labels)


def test_a_classifier_without_softmax_over_background_is_refused():
    with pytest.raises(ValueError, match='FASA expects.*3 classes and background, got 3'):
        FASA(3, 2, counts=COUNTS).observe(torch.zeros(1, 3), torch.tensor([0]), 1)


@pytest.mark.parametrize('kwargs', [
    dict(total_weight=-1), dict(scale=-1), dict(power=-1), dict(up=0.9), dict(down=1.1),
    dict(start=-1), dict(max_features=0), dict(momentum=0)], ids=str)
def test_arguments_out_of_range_are_named(kwargs):
    with pytest.raises(ValueError, match=rf'\({[*kwargs][0]}=\)'):
        FASA(3, 2, **kwargs)
