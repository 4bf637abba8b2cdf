import bacl  # noqa: F401
import pytest
import torch
from bacl.models.indicators import ConfusionMatrix
from hypothesis import given, settings
from hypothesis import strategies as st

C = 4


def stream(seed, num_samples=20):
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(num_samples, C + 1, generator=generator, dtype=torch.float64)
    return logits, torch.randint(C + 1, (num_samples,), generator=generator)


def slow_matrix(logits, labels):
    """Table II, last row, with loops over samples and classes."""
    rows = [[0.0] * C for _ in range(C)]
    counts = [0] * C
    for z, label in zip(logits, labels.tolist(), strict=True):
        if label == C:
            continue
        exps = [z[k].exp().item() for k in range(C)]
        counts[label] += 1
        for j in range(C):
            rows[label][j] += exps[j] / sum(exps)
    return [[value / max(counts[i], 1) for value in rows[i]] for i in range(C)]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), split=st.integers(0, 20))
def test_equals_the_definition_however_the_stream_is_split(seed, split):
    logits, labels = stream(seed)
    indicator = ConfusionMatrix(C)
    indicator.observe(logits[:split], labels[:split])
    indicator.observe(logits[split:], labels[split:])
    expected = torch.tensor(slow_matrix(logits, labels), dtype=torch.float64)
    torch.testing.assert_close(indicator.value(), expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(indicator.strength(), expected.diagonal(), rtol=1e-12, atol=1e-14)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_order_of_samples_does_not_matter_and_rows_sum_to_one(seed):
    logits, labels = stream(seed)
    forward, backward = ConfusionMatrix(C), ConfusionMatrix(C)
    forward.observe(logits, labels)
    backward.observe(logits.flip(0), labels.flip(0))
    torch.testing.assert_close(forward.value(), backward.value())
    seen = forward.num_samples > 0
    torch.testing.assert_close(forward.value().sum(1), seen.double())


def test_background_logit_has_no_influence():
    logits, labels = stream(1)
    one, other = ConfusionMatrix(C), ConfusionMatrix(C)
    one.observe(logits, labels)
    logits[:, C] += 5
    other.observe(logits, labels)
    assert torch.equal(one.score_sum, other.score_sum)


def test_log_ratio_is_that_of_the_clamped_entries():
    indicator = ConfusionMatrix(2)
    # Class 0 is mistaken for class 1 half the time, class 1 almost never: below the floor 1e-3.
    indicator.score_sum.copy_(torch.tensor([[5.0, 5.0], [0.001, 9.999]]))
    indicator.num_samples.fill_(10)
    log_ratio = indicator.log_ratio(torch.tensor([0, 1, 0]))
    expected = torch.tensor([[0.0, 500.0], [1 / 500, 0], [0, 500.0]], dtype=torch.float64)
    expected[expected > 0] = expected[expected > 0].log()
    torch.testing.assert_close(log_ratio, expected)


def test_log_ratio_is_antisymmetric_with_zero_diagonal():
    indicator = ConfusionMatrix(C)
    indicator.observe(*stream(3))
    log_ratio = indicator.log_ratio(torch.arange(C))
    torch.testing.assert_close(log_ratio, -log_ratio.t())
    assert torch.equal(log_ratio.diagonal(), torch.zeros(C, dtype=torch.float64))
    assert log_ratio.abs().max() > 0.1


def test_nothing_observed_means_no_margin_and_no_strength():
    indicator = ConfusionMatrix(C)
    assert indicator.log_ratio(torch.arange(C)).count_nonzero() == 0
    assert indicator.strength().count_nonzero() == 0


def test_counts_beyond_float32():
    indicator = ConfusionMatrix(C)
    indicator.num_samples[0] = indicator.score_sum[0, 0] = 2.0**24
    indicator.observe(torch.zeros(1, C + 1), torch.tensor([0]))
    assert indicator.num_samples[0] == 2**24 + 1


def test_reset_and_state_dict():
    indicator, copy = ConfusionMatrix(C), ConfusionMatrix(C)
    indicator.observe(*stream(5))
    copy.load_state_dict(indicator.state_dict())
    assert torch.equal(copy.value(), indicator.value())
    indicator.reset()
    assert indicator.value().count_nonzero() == 0 and indicator.num_samples.count_nonzero() == 0


@pytest.mark.parametrize('num_classes', [0, -1, 2.0])
def test_number_of_classes_is_checked(num_classes):
    with pytest.raises(ValueError, match='ConfusionMatrix\\(num_classes='):
        ConfusionMatrix(num_classes)
