import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import FederatedLoss, SigmoidBCELoss, select_classes, sigmoid_bce_loss
from hypothesis import given
from hypothesis import strategies as st

CASES = ('mixed', 'no_bg', 'all_bg', 'one_class', 'many')


@pytest.mark.golden('federated.npz')
@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize('case', CASES)
def test_equals_official_classes_losses_and_gradients(golden, monkeypatch, case, dtype, tolerance):
    num_classes = int(golden['num_classes'])
    loss = FederatedLoss(num_classes, int(golden['num_sample_cats']), float(golden['freq_power']),
                         counts=golden['image_count'].tolist())
    torch.testing.assert_close(golden['image_count'].double() ** loss.power, golden['freq_weight'])
    exponential = golden[f'{case}_exponential'][0, :num_classes]
    monkeypatch.setattr(torch.Tensor, 'exponential_', lambda self: exponential.to(self))
    labels = golden[f'{case}_labels']
    selected = loss.select(labels, None)
    assert torch.equal(selected.double(), golden[f'{case}_selected_mask'])
    assert selected.sum() == golden[f'{case}_num_selected_fg']
    # Officially there is a channel for the background, without loss.
    logits = golden['logits'][:, :num_classes].to(dtype).requires_grad_()
    value = loss(logits, labels)
    value.backward()
    close = dict(rtol=tolerance, atol=1e-2 * tolerance)
    torch.testing.assert_close(value.detach(), golden[f'{case}_sigmoid_loss'].to(dtype), **close)
    grad = golden[f'{case}_sigmoid_grad']
    assert not grad[:, num_classes:].any()
    torch.testing.assert_close(logits.grad, grad[:, :num_classes].to(dtype), **close)
    scores = loss.get_activation(logits.detach())
    torch.testing.assert_close(scores[:, :-1], golden['scores'][:, :-1].to(dtype), **close)


def select_by_definition(labels, weight, num_selected, exponential):
    chosen = sorted(set(labels))
    others = sorted((c for c in range(len(weight)) if c not in chosen and weight[c] > 0),
                    key=lambda c: -weight[c] / exponential[c])
    chosen += others[:max(num_selected - len(chosen), 0)]
    return [c in chosen for c in range(len(weight))]


@given(st.lists(st.integers(0, 5), max_size=6), st.lists(st.integers(0, 3), min_size=5, max_size=5),
       st.integers(1, 8), st.permutations(range(5)))
def test_classes_are_those_of_the_definition(labels, weight, num_selected, order):
    exponential = torch.tensor([1.0, 1.01, 1.02, 1.03, 1.04])[list(order)]
    is_present = torch.zeros(6, dtype=torch.bool).index_fill(
        0, torch.tensor(labels, dtype=torch.long), True)
    selected = select_classes(is_present, torch.tensor(weight).float(), num_selected, exponential)
    assert selected.tolist() == select_by_definition(labels, weight, num_selected,
                                                     exponential.tolist())


def test_classes_are_drawn_in_proportion_to_their_weights():
    torch.manual_seed(0)
    loss = FederatedLoss(3, num_selected=2, counts=[16, 4, 0])  # weights 4, 2, 0
    labels = torch.tensor([3])  # background is one of the two
    drawn = torch.stack([loss.select(labels, None) for _ in range(1200)]).double()
    assert (drawn.sum(1) == 1).all() and not drawn[:, 2].any()
    # Within four standard deviations of a binomial mean.
    assert drawn[:, 0].mean().item() == pytest.approx(2 / 3, abs=4 * (2 / 9 / 1200)**0.5)


def test_only_selected_classes_cost_and_in_evaluation_all_do():
    loss = FederatedLoss(4, num_selected=1, counts=[9, 9, 9, 9])
    logits, labels = torch.randn(3, 4, requires_grad=True), torch.tensor([1, 1, 3])
    value = loss(logits, labels)
    value.backward()
    expected = sigmoid_bce_loss(logits.detach(), labels)[:, [1, 3]].sum() / 3
    torch.testing.assert_close(value.detach(), expected)
    assert logits.grad[:, [0, 2]].count_nonzero() == 0
    torch.testing.assert_close(loss.eval()(logits, labels), SigmoidBCELoss(4)(logits, labels))


def test_a_sample_of_weight_zero_is_as_if_it_were_not_there():
    loss = FederatedLoss(4, num_selected=1, counts=[9, 9, 9, 9])
    logits, labels = torch.randn(4, 4), torch.tensor([1, 1, 4, 3])
    value = loss(logits, labels, torch.tensor([1.0, 1.0, 1.0, 0.0]), avg_factor=3.0)
    torch.testing.assert_close(value, loss(logits[:3], labels[:3], avg_factor=3.0))


@pytest.mark.parametrize('kwargs, name', [(dict(num_selected=0), 'num_selected='),
                                          (dict(power=-1), 'power=')])
def test_arguments_out_of_range_are_named(kwargs, name):
    with pytest.raises(ValueError, match=name):
        FederatedLoss(3, **kwargs)
