import bacl  # noqa: F401
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bacl.models.losses import (
    EqualizationLossV2,
    PairwiseBalancedEqualizationLossV2,
    PairwiseBalancedSeesawLoss,
    PairwiseBalancedSoftmaxLoss,
    SoftmaxCELoss,
    SynchronizedSeesawLoss,
)
from bacl.models.losses.pairwise_class_balance import MovingConfusionMatrix
from hypothesis import given
from hypothesis import strategies as st

BASES = {PairwiseBalancedSoftmaxLoss: SoftmaxCELoss,
         PairwiseBalancedEqualizationLossV2: EqualizationLossV2,
         PairwiseBalancedSeesawLoss: SynchronizedSeesawLoss}
every_loss = pytest.mark.parametrize('loss_type', BASES)


def official_loss(golden, loss_type, share='alpha', **kwargs):
    return loss_type(
        int(golden['num_classes']), soft_share=float(golden[share]),
        soft_start=int(golden['start_epoch']) - 1,  # official epochs count from 1
        momentum=1 - float(golden['momentum']), loss_weight=float(golden['loss_weight']), **kwargs)


def official_calls(golden, loss):
    """Prepare the loss for each call; gives its number, logits and labels."""
    for call, labels in enumerate(golden['labels']):
        # The official code also waits for a sample of every class.
        loss.start_epoch(loss.soft_start if golden['regularised'][call] else 0)
        assert golden['epoch'][call] - 1 >= loss.epoch
        loss.set_iteration(int(golden['iter_id'][call]), int(golden['n_iter']))
        yield call, golden['logits'][call].clone().requires_grad_(), labels


def assert_official(*pairs):
    for ours, theirs in pairs:
        torch.testing.assert_close(ours.detach(), theirs, rtol=1e-9, atol=1e-14)


@pytest.mark.golden('pcb_softmax.npz')
def test_equals_official_softmax_losses_gradients_matrix_and_scores(golden):
    loss = official_loss(golden, PairwiseBalancedSoftmaxLoss)
    for call, logits, labels in official_calls(golden, loss):
        total = loss(logits, labels, reduction_override='none') / loss.loss_weight
        # Its soft part is the mean over all samples, whatever their weights.
        hard = F.cross_entropy(logits, labels, reduction='none')
        hard = torch.where(labels < loss.num_classes, (1 - loss.share) * hard, hard)
        value = (hard * golden['label_weights'][call]).sum() / golden['avg_factor'][call] \
            + (total - hard).mean()
        value = value * loss.loss_weight
        value.backward()
        assert_official(
            (value, golden['loss'][call]), (logits.grad, golden['grad'][call]),
            (loss.confusion.matrix, golden['confusion_after'][call]),
            (loss.get_activation(logits), golden['scores'][call]))


@pytest.mark.golden('pcb_eqlv2.npz')
def test_equals_official_eqlv2_losses_gradients_states_and_scores(golden):
    loss = official_loss(golden, PairwiseBalancedEqualizationLossV2, 'alpha_pcb',
                         **{name: float(golden[name]) for name in ('gamma', 'mu', 'alpha')})
    for call, logits, labels in official_calls(golden, loss):
        value = loss(logits, labels)
        value.backward()
        assert_official(
            (value, golden['loss'][call]), (logits.grad, golden['grad'][call]),
            (loss.confusion.matrix, golden['confusion_after'][call]),
            (loss.pos_grad, golden['pos_grad_after'][call]),
            (loss.neg_grad, golden['neg_grad_after'][call]),
            (loss.gradient_ratio(), golden['pos_neg_after'][call]),
            (loss.get_activation(logits), golden['scores'][call]))


@pytest.mark.golden('pcb_seesaw.npz')
def test_equals_official_seesaw_losses_gradients_states_and_scores(golden):
    loss = official_loss(golden, PairwiseBalancedSeesawLoss,
                         **{name: float(golden[name]) for name in ('p', 'q', 'eps')})
    for call, logits, labels in official_calls(golden, loss):
        # The official code counts samples of weight 0, too.
        value = loss(logits, labels, golden['label_weights'][call].clamp(min=1e-30),
                     avg_factor=golden['avg_factor'][call])
        value.backward()
        assert_official(
            (value, golden['loss'][call]), (value, golden['loss_parts'][call].sum()),
            (logits.grad, golden['grad'][call]),
            (loss.confusion.matrix, golden['confusion_after'][call]),
            (loss.cum_samples, golden['cum_samples_after'][call]),
            (loss.get_activation(logits), golden['scores'][call]))


def test_numbers_by_hand():
    # Of what is predicted as class 0, 0.6 is of class 0 and 0.4 of class 1; logits 0.
    loss = PairwiseBalancedSoftmaxLoss(2, soft_share=0.4, soft_start=0).eval()
    loss.confusion.matrix.copy_(torch.tensor([[0.9, 0.1], [0.6, 0.4]]))
    targets = loss.confusion.soft_targets(torch.tensor([0, 1, 2]))
    torch.testing.assert_close(targets, torch.tensor([[0.6, 0.4], [0.2, 0.8], [0, 0]],
                                                     dtype=torch.float64))
    logits, labels = torch.zeros(2, 3, dtype=torch.float64), torch.tensor([0, 2])
    # KL = 0.6 ln(0.6 * 3) + 0.4 ln(0.4 * 3) = 0.425601
    for iteration, expected in enumerate((1.098612, 1.031311, 0.964010)):
        loss.set_iteration(iteration, 3)
        assert loss(logits, labels).item() == pytest.approx(expected, abs=1e-6)


def test_soft_targets_begin_in_their_epoch_and_say_so():
    loss = PairwiseBalancedSoftmaxLoss(2, soft_share=0.5, soft_start=3)
    shares = []
    for epoch in range(5):
        loss.start_epoch(epoch)
        shares.append(loss.scalars()['pairwise_balance/share'])
    assert shares == [0, 0, 0, 0.5, 0.5]


@every_loss
@pytest.mark.parametrize('kwargs', [dict(soft_share=0, soft_start=0), dict(soft_start=1)])
def test_without_soft_targets_it_is_its_base(loss_type, kwargs):
    loss, base = loss_type(3, **kwargs), BASES[loss_type](3)
    channels = loss.get_cls_channels(3)
    for _ in range(3):
        args = (torch.randn(7, channels), torch.tensor([0, 1, 2, 3, 3, 0, 1]), torch.rand(7), 6.0)
        torch.testing.assert_close(loss(*args), base(*args))


@every_loss
def test_confusions_that_never_happen_change_nothing(loss_type):
    loss, base = loss_type(3, soft_start=0).eval(), BASES[loss_type](3).eval()
    loss.confusion.matrix.copy_(torch.eye(3))
    args = (torch.randn(7, loss.get_cls_channels(3)), torch.tensor([0, 1, 2, 3, 3, 0, 1]))
    torch.testing.assert_close(loss(*args), base(*args))


@every_loss
def test_a_class_without_history_keeps_its_label(loss_type):
    loss, base = loss_type(3, soft_start=0).eval(), BASES[loss_type](3).eval()
    args = (torch.randn(4, loss.get_cls_channels(3)), torch.tensor([0, 1, 2, 3]))
    torch.testing.assert_close(loss(*args), base(*args))


@pytest.mark.parametrize('normalized', [True, False])
@given(seed=st.integers(0, 99), num_steps=st.integers(1, 3))
def test_the_matrix_is_its_definition_in_loops(normalized, seed, num_steps):
    generator = torch.Generator().manual_seed(seed)
    confusion, expected = MovingConfusionMatrix(4, 0.1, normalized), np.zeros((4, 4))
    for _ in range(num_steps):
        scores = torch.rand(5, 4, generator=generator, dtype=torch.float64)
        labels = torch.randint(5, (5,), generator=generator)
        confusion.observe(scores, labels)
        for c in range(4):
            rows = [scores[n].numpy() for n in range(5) if labels[n] == c]
            if rows:
                expected[c] = 0.9 * expected[c] + 0.1 * np.mean(rows, axis=0)
                expected[c] /= expected[c].sum() if normalized else 1
    np.testing.assert_allclose(confusion.matrix.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize('as_gpu', [False, True])
@pytest.mark.parametrize('border', [0, 3, 6])
def test_two_ranks_have_the_matrix_of_all_samples(monkeypatch, border, as_gpu):
    if as_gpu:
        monkeypatch.setattr('bacl.ops.class_groups.is_on_cpu', lambda tensor: False)
    whole, shared = (MovingConfusionMatrix(4, 0.1, True) for _ in range(2))
    for _ in range(3):
        scores = torch.rand(6, 4, dtype=torch.float64).softmax(1)
        labels = torch.tensor([0, 4, 0, 2, 4, 0]) if border else torch.tensor([3, 4, 1, 3, 3, 0])
        whole.observe(scores, labels)
        parts = []
        for split in (slice(border), slice(border, None)):
            with monkeypatch.context() as patch:  # what the rank would send
                patch.setattr('bacl.models.losses.pairwise_class_balance.gather_rows',
                              lambda *part: parts.append(part) or [part])  # noqa: B023
                MovingConfusionMatrix(4, 0.1, True).observe(scores[split], labels[split])
        with monkeypatch.context() as patch:
            patch.setattr('bacl.models.losses.pairwise_class_balance.gather_rows',
                          lambda *part, parts=parts: parts)
            shared.observe(scores[:0], labels[:0])
    torch.testing.assert_close(shared.matrix, whole.matrix)
    assert whole.matrix.sum(1).tolist() == pytest.approx([1, 0, 1, 0] if border else [1, 1, 0, 1])


@every_loss
def test_every_sample_counts_by_its_weight(loss_type):
    loss = loss_type(3, soft_start=0)
    logits, labels = torch.randn(6, loss.get_cls_channels(3)), torch.tensor([0, 1, 3, 2, 0, 3])
    loss(logits, labels)
    loss.eval()
    weight = torch.tensor([1.0, 0.0, 2.0, 0.5, 0.0, 0.0])
    kept = [0, 2, 2, 3]
    expected = loss(logits[kept], labels[kept], torch.tensor([1.0, 1.0, 1.0, 0.5]), avg_factor=3.0)
    torch.testing.assert_close(loss(logits, labels, weight, avg_factor=3.0), expected)


@every_loss
def test_a_sample_of_weight_zero_changes_no_state(loss_type):
    with_sample, without = loss_type(3), loss_type(3)
    logits, labels = torch.randn(4, without.get_cls_channels(3)), torch.tensor([0, 1, 3, 2])
    with_sample(logits, labels, torch.tensor([1.0, 1.0, 1.0, 0.0]))
    without(logits[:3], labels[:3])
    for key, value in without.state_dict().items():
        torch.testing.assert_close(with_sample.state_dict()[key], value)


@every_loss
def test_evaluation_changes_no_state_and_a_restored_loss_goes_on(loss_type):
    saved, restored = loss_type(3, soft_start=0), loss_type(3, soft_start=0)
    channels = saved.get_cls_channels(3)
    batches = [(torch.randn(8, channels), torch.randint(4, (8,))) for _ in range(3)]
    saved(*batches[0])
    restored.load_state_dict(saved.state_dict())
    assert 'confusion.matrix' in saved.state_dict()
    saved.eval()(*batches[1])
    for key, value in saved.state_dict().items():
        assert torch.equal(value, restored.state_dict()[key])
    assert saved.train()(*batches[2]) == restored(*batches[2])


@pytest.mark.parametrize('kwargs, name', [
    (dict(soft_share=2), 'soft_share='), (dict(soft_start=-1), 'soft_start='),
    (dict(momentum=0), 'momentum=')])
def test_arguments_out_of_range_are_named(kwargs, name):
    with pytest.raises(ValueError, match=name):
        PairwiseBalancedSoftmaxLoss(3, **kwargs)
