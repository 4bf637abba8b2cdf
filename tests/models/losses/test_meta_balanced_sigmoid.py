import bacl  # noqa: F401
import pytest
import torch
import torch.nn.functional as F
from bacl.models.losses import (
    BalancedSigmoidLoss,
    MetaBalancedSigmoidLoss,
    meta_balanced_sigmoid,
    meta_gradient,
    meta_weights,
)
from torch import nn

KWARGS = dict(num_classes=3, counts=[8, 4, 1], num_images=10)


def official_loss(golden):
    # So many images that a frequency is a whole number of them.
    counts = (golden['image_frequency'] * 1e14).round().tolist()
    return MetaBalancedSigmoidLoss(int(golden['num_classes']), float(golden['meta_lr']),
                                   counts=counts, num_images=10**14)


def sgd_settings(golden):
    return {key: float(golden[key]) for key in ('lr', 'momentum', 'weight_decay')}


@pytest.mark.golden('balms_meta.npz')
def test_equals_official_steps_of_weights_and_classifier(golden):
    loss, close = official_loss(golden), dict(rtol=1e-9, atol=1e-13)
    classifier = [nn.Parameter(golden[f'{name}_before'].clone()) for name in ('weight', 'bias')]
    optimizer = torch.optim.SGD(classifier, **sgd_settings(golden))
    assert torch.equal(loss.meta_logit, golden['u_before'])
    for step, (feats, labels, meta_feats, meta_labels) in enumerate(zip(
            *(golden[name] for name in ('features', 'labels', 'meta_features', 'meta_labels')),
            strict=True)):
        values = {}

        def inner_loss(parameters, u, feats=feats, labels=labels, values=values):
            values['inner_loss'] = loss.inner_loss(F.linear(feats, *parameters), labels, u)
            return values['inner_loss']

        def outer_loss(parameters, feats=meta_feats, labels=meta_labels, values=values):
            # Officially shifted, as it is not meant to be.
            logits = F.linear(feats, *parameters)
            values['meta_loss'] = loss.elementwise(logits, labels).sum() / len(labels)
            return values['meta_loss']

        momenta = [optimizer.state[p].get('momentum_buffer', torch.zeros_like(p))
                   for p in classifier]
        grad = meta_gradient(loss.meta_logit, classifier, momenta, inner_loss, outer_loss,
                             **sgd_settings(golden))
        loss.adam_step(grad)
        value = loss(F.linear(feats, *classifier), labels)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        found = dict(values, grad_u=grad, u_after=loss.meta_logit, loss=value,
                     weight_after=classifier[0], bias_after=classifier[1])
        for name, ours in found.items():
            torch.testing.assert_close(ours.detach(), golden[name][step], **close)


@pytest.mark.golden('balms_meta.npz')
# The stored gradient is good to some 1e-8 of its largest entry.
@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-7), (torch.float32, 1e-4)])
def test_gradient_is_the_corrected_one(golden, monkeypatch, dtype, tolerance):
    loss, grads = official_loss(golden), []
    monkeypatch.setattr(loss, 'adam_step', grads.append)
    classifier = [golden[f'{name}_before'].to(dtype) for name in ('weight', 'bias')]
    loss.meta_step(golden['features'][0], golden['labels'][0], golden['meta_features'][0],
                   golden['meta_labels'][0], classifier, list(map(torch.zeros_like, classifier)),
                   **sgd_settings(golden))
    expected = golden['fixed_grad_u_0']
    assert not torch.allclose(expected, golden['grad_u'][0], rtol=0.01)
    torch.testing.assert_close(grads[0], expected, rtol=tolerance,
                               atol=tolerance * expected.abs().max().item())


def test_a_step_changes_nothing_but_the_weights_of_the_classes():
    torch.manual_seed(0)
    loss, classifier = MetaBalancedSigmoidLoss(**KWARGS), nn.Linear(4, 3)
    before = [p.clone() for p in classifier.parameters()]
    batches = torch.randn(6, 4), torch.arange(6) % 4, torch.randn(5, 4), torch.arange(5) % 4
    loss.meta_step(*batches, list(classifier.parameters()), list(map(torch.zeros_like, before)),
                   lr=0.1)
    assert all(map(torch.equal, classifier.parameters(), before))
    assert all(p.grad is None for p in classifier.parameters())
    # The first step of Adam is as long as the learning rate.
    assert loss.meta_logit.abs().tolist() == pytest.approx([0.01] * 3, rel=1e-3)


def test_weights_by_hand():
    # Sigmoids 1/2 and 3/4, twice and once: 7/12 in the mean.
    meta_logit, labels = torch.tensor([1.0, 3.0]).log(), torch.tensor([0, 0, 1, 2])
    assert meta_weights(meta_logit, labels).tolist() == pytest.approx([6 / 7, 6 / 7, 9 / 7, 1])
    weight = torch.tensor([1.0, 0.0, 1.0, 1.0])  # 5/8 in the mean
    assert meta_weights(meta_logit, labels, weight).tolist() == pytest.approx([0.8, 0.8, 1.2, 1])
    assert meta_weights(meta_logit, labels[3:]).tolist() == [1]


def test_untaught_it_is_the_balanced_sigmoid_loss_and_taught_it_weighs_its_classes():
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 3])
    weight = torch.tensor([1.0, 0.5, 2.0, 1.0])
    loss, balanced = MetaBalancedSigmoidLoss(**KWARGS), BalancedSigmoidLoss(**KWARGS)
    torch.testing.assert_close(loss(logits, labels, weight, 3.0),
                               balanced(logits, labels, weight, 3.0))
    loss.meta_logit += torch.tensor([1.0, 0.0, -1.0])
    torch.testing.assert_close(
        loss(logits, labels, weight, 3.0),
        balanced(logits, labels, weight * meta_weights(loss.meta_logit.float(), labels, weight),
                 3.0))


def test_a_sample_of_weight_zero_is_as_if_it_were_not_there():
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 3, 2])
    loss = MetaBalancedSigmoidLoss(**KWARGS)
    loss.meta_logit += torch.tensor([1.0, 0.0, -1.0])
    value = loss(logits, labels, torch.tensor([1.0, 1.0, 1.0, 0.0]), avg_factor=3.0)
    torch.testing.assert_close(value, loss(logits[:3], labels[:3], avg_factor=3.0))


def test_a_restored_loss_goes_on_as_the_saved_one_and_every_rank_takes_part(monkeypatch):
    calls = []
    monkeypatch.setattr(meta_balanced_sigmoid, 'all_reduce', lambda grad, op: calls.append(op))
    torch.manual_seed(0)
    parameters = [torch.randn(3, 4), torch.randn(3)]
    momenta = list(map(torch.zeros_like, parameters))
    saved, restored = MetaBalancedSigmoidLoss(**KWARGS), MetaBalancedSigmoidLoss(**KWARGS)
    labels = torch.tensor([0, 1, 2, 3, 3])

    def step(loss, labels):
        torch.manual_seed(len(labels))
        feats = torch.randn(2, len(labels), 4)
        loss.meta_step(feats[0], labels, feats[1], labels, parameters, momenta, lr=0.1)

    for size in (5, 3, 0):  # also without samples
        step(saved, labels[-size:] if size else labels[:0])
    restored.load_state_dict(saved.state_dict())
    for loss in (saved, restored):
        step(loss, labels)
    assert torch.equal(saved.meta_logit, restored.meta_logit) and saved.meta_logit.any()
    assert calls == ['mean'] * 5


def test_learning_rate_zero_is_refused():
    with pytest.raises(ValueError, match='meta_lr='):
        MetaBalancedSigmoidLoss(3, meta_lr=0)
