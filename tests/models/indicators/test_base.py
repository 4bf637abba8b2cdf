"""What holds for every long-term indicator; each is compared with its definition in loops."""
import io
import math

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.augmenters import FeatureHallucinator
from bacl.models.indicators import ConfusionMatrix
from bacl.models.losses import FCBL
from hypothesis import given
from hypothesis import strategies as st
from mmdet.registry import MODELS

C = 4  # class 3 never occurs in the streams
COUNTS = [100, 10, 3, 0]
GAMMA = 0.9


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def argmax(values):
    return max(range(C), key=lambda k: values[k])


def samples_of(batches, i):
    return [z for logits, labels in batches
            for z, label in zip(logits.tolist(), labels.tolist(), strict=True) if label == i]


def slow_counts(batches):
    return COUNTS


def slow_number(batches):
    return [len(samples_of(batches, i)) for i in range(C)]


def slow_mean_score(batches):
    score = [0.01] * C
    for batch in batches:
        for i in range(C):
            samples = samples_of([batch], i)
            if samples:
                step_score = sum(sigmoid(z[i]) for z in samples) / len(samples)
                score[i] = GAMMA * score[i] + (1 - GAMMA) * step_score
    return score


def slow_rate(batches):
    rate = []
    for i in range(C):
        samples = samples_of(batches, i)
        rate.append(sum(argmax(z) == i for z in samples) / max(len(samples), 1))
    return rate


def slow_matrix(batches, score):
    matrix = []
    for i in range(C):
        samples = samples_of(batches, i)
        matrix.append([sum(score(z, j) for z in samples) / max(len(samples), 1)
                       for j in range(C)])
    return matrix


def slow_soft_matrix(batches):
    return slow_matrix(batches, lambda z, j: math.exp(z[j]) / sum(math.exp(v) for v in z[:C]))


def slow_hard_matrix(batches):
    return slow_matrix(batches, lambda z, j: float(argmax(z) == j))


def share_of_largest(counts):
    return [count / max(*counts, 1) for count in counts]


def diagonal(matrix):
    return [matrix[i][i] for i in range(C)]


# Config, value, strength (Eq. 12) and floor of the ratios (Eq. 7) of every indicator.
STATIC = {
    'image frequency': (dict(type='ImageFrequency', counts=COUNTS),
                        slow_counts, share_of_largest, 1),
    'instance frequency': (dict(type='InstanceFrequency', counts=COUNTS),
                           slow_counts, share_of_largest, 1),
}
SPLIT_INDEPENDENT = {
    'number': (dict(type='CumulativeInstanceNumber'), slow_number, share_of_largest, 1),
    'rate': (dict(type='TruePositiveRate'), slow_rate, list, 1e-3),
    'soft matrix': (dict(type='ConfusionMatrix'), slow_soft_matrix, diagonal, 1e-3),
    'hard matrix': (dict(type='ConfusionMatrix', hard=True), slow_hard_matrix, diagonal, 1e-3),
}
DYNAMIC = {
    'mean score': (dict(type='MeanClassificationScore'), slow_mean_score, list, 1e-3),
    **SPLIT_INDEPENDENT,
}
ALL = {**STATIC, **DYNAMIC}
SCORES = ('mean score', 'rate', 'soft matrix', 'hard matrix')

every_indicator = pytest.mark.parametrize('name', ALL)
every_dynamic_indicator = pytest.mark.parametrize('name', DYNAMIC)


def build(name):
    return MODELS.build(ALL[name][0], default_args=dict(num_classes=C))


def stream(seed, sizes=(7, 0, 1, 12), with_ties=False):
    """Batches with background, of which one is empty and one has a single sample."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.tensor([0, 0, 0, 1, 2, C])
    batches = []
    for size in sizes:
        logits = 4 * torch.randn(size, C + 1, generator=generator, dtype=torch.float64)
        batches.append((logits.sign() if with_ties else logits,
                        labels[torch.randint(len(labels), (size,), generator=generator)]))
    return batches


on_random_streams = given(batches=st.builds(
    stream, st.integers(0, 10**6), st.lists(st.integers(0, 12), min_size=1, max_size=5),
    with_ties=st.booleans()))


def observed(name, batches):
    indicator = build(name)
    for logits, labels in batches:
        indicator.observe(logits, labels)
    return indicator


def assert_equal_states(one, other):
    assert one.state_dict().keys() == other.state_dict().keys()
    for key, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[key], rtol=1e-12, atol=1e-14)


@every_indicator
@on_random_streams
def test_equals_its_definition(name, batches):
    _, slow_value, slow_strength, floor = ALL[name]
    value, labels = slow_value(batches), [2, 0, 0, 3]
    ratio = [[0.0] * C for _ in labels]
    for n, i in enumerate(labels):
        for j in range(C):
            is_matrix = isinstance(value[0], list)
            strong, weak = (value[i][j], value[j][i]) if is_matrix else (value[j], value[i])
            ratio[n][j] = math.log(max(strong, floor) / max(weak, floor))
    indicator = observed(name, batches)
    for actual, expected in ((indicator.value(), value),
                             (indicator.strength(), slow_strength(value)),
                             (indicator.log_ratio(torch.tensor(labels)), ratio)):
        torch.testing.assert_close(actual, torch.tensor(expected, dtype=torch.float64),
                                   rtol=1e-10, atol=1e-12)


@every_indicator
@on_random_streams
def test_order_of_the_samples_of_a_step_does_not_matter(name, batches):
    flipped = [(logits.flip(0), labels.flip(0)) for logits, labels in batches]
    assert_equal_states(observed(name, batches), observed(name, flipped))


@pytest.mark.parametrize('name', SPLIT_INDEPENDENT)
@on_random_streams
def test_split_into_steps_and_their_order_do_not_matter(name, batches):
    whole = [tuple(torch.cat(parts) for parts in zip(*batches, strict=True))]
    assert_equal_states(observed(name, batches), observed(name, whole))
    assert_equal_states(observed(name, batches), observed(name, batches[::-1]))


@every_indicator
@on_random_streams
def test_strength_is_in_the_unit_interval(name, batches):
    strength = observed(name, batches).strength()
    assert strength.shape == (C,) and (strength >= 0).all() and (strength <= 1).all()


@every_indicator
@on_random_streams
def test_log_ratio_is_antisymmetric_with_zero_diagonal(name, batches):
    log_ratio = observed(name, batches).log_ratio(torch.arange(C))
    torch.testing.assert_close(log_ratio, -log_ratio.t())
    assert log_ratio.diagonal().count_nonzero() == 0


@pytest.mark.parametrize('name', SCORES)
@on_random_streams
def test_larger_logits_of_the_true_classes_never_lower_a_strength(name, batches):
    boosted = []
    for logits, labels in batches:
        boost = torch.zeros_like(logits).scatter(1, labels[:, None], 2.0)
        boosted.append((logits + boost, labels))
    before, after = observed(name, batches).strength(), observed(name, boosted).strength()
    assert (after >= before).all()


@pytest.mark.parametrize('name', SCORES)
def test_background_logit_has_no_influence(name):
    batches = stream(1)
    boosted = [(logits + torch.tensor([0.0] * C + [9]), labels) for logits, labels in batches]
    assert_equal_states(observed(name, batches), observed(name, boosted))


@every_dynamic_indicator
def test_nothing_observed_means_no_margin(name):
    indicator = build(name)
    assert indicator.log_ratio(torch.arange(C)).count_nonzero() == 0
    assert indicator.strength().max() <= 0.01


@every_indicator
@pytest.mark.parametrize('size', [0, 5])
def test_background_samples_and_empty_steps_change_nothing(name, size):
    one, other = observed(name, stream(2)), observed(name, stream(2))
    other.observe(torch.ones(size, C + 1), torch.full((size,), C))
    assert_equal_states(one, other)


@every_indicator
@pytest.mark.parametrize('size', [0, 5])
def test_dynamic_indicators_sum_over_ranks_once_per_step_whatever_the_batch(
        name, size, monkeypatch):
    calls = []

    def one_rank(classes, rows):
        calls.append(rows)
        return [(classes, rows)]

    monkeypatch.setattr('bacl.models.indicators.class_sums.gather_rows', one_rank)
    build(name).observe(torch.zeros(size, C + 1), torch.zeros(size, dtype=torch.int64))
    assert len(calls) == (name in DYNAMIC)


@every_indicator
def test_what_was_read_does_not_change_with_the_next_step(name):
    indicator = observed(name, stream(3))
    value = indicator.value()
    expected = value.clone()
    indicator.observe(*stream(4)[0])
    assert torch.equal(value, expected)
    assert (name in DYNAMIC) != torch.equal(indicator.value(), expected)


@every_indicator
def test_resumed_stream_ends_in_the_same_state(name):
    batches, file = stream(5), io.BytesIO()
    torch.save(observed(name, batches[:2]).state_dict(), file)
    file.seek(0)
    resumed = build(name)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for batch in batches[2:]:
        resumed.observe(*batch)
    uninterrupted = observed(name, batches)
    for key, expected in uninterrupted.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], expected)
    assert torch.equal(resumed.log_ratio(torch.arange(C)),
                       uninterrupted.log_ratio(torch.arange(C)))


@every_indicator
def test_reset_forgets_what_was_observed(name):
    indicator = observed(name, stream(6))
    indicator.reset()
    assert_equal_states(indicator, build(name))


@every_indicator
def test_number_of_classes_is_checked(name):
    config = ALL[name][0]
    for num_classes in (0, -1, 2.0):
        with pytest.raises(ValueError, match=f'{config["type"]}\\(num_classes='):
            MODELS.build(config, default_args=dict(num_classes=num_classes))


@every_indicator
def test_margin_of_fcbl_comes_from_any_indicator(name):
    loss = FCBL(C, indicator=ALL[name][0])
    plain = FCBL(C, with_margin=False)
    differences = []
    for logits, labels in stream(7):
        logits.requires_grad_()
        value = loss(logits, labels)
        value.backward()
        assert value.isfinite() and logits.grad.isfinite().all()
        differences.append(abs(value.item() - plain(logits, labels).item()))
    assert differences[-1] > 1e-3
    assert (differences[0] == 0) == (name in DYNAMIC)


@every_indicator
def test_strength_of_any_indicator_steers_the_hallucination(name):
    torch.manual_seed(0)
    strength = observed(name, stream(8)).strength()
    hallucinator = FeatureHallucinator(C, num_feats=3, num_sampled_classes=4000,
                                       num_features_per_class=1)
    hallucinator.distribution.observe(torch.randn(2 * C, 3), torch.arange(C).repeat(2))
    feats, labels = hallucinator.hallucinate(strength)[:2]
    assert feats.shape == (4000, 3) and feats.isfinite().all()
    expected = (1 - strength) / (1 - strength).sum()
    torch.testing.assert_close(labels.bincount(minlength=C) / 4000.0, expected.float(),
                               rtol=0, atol=0.04)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@every_indicator
def test_logits_of_half_precision_are_counted_in_double(name, dtype):
    logits, labels = stream(9)[3]
    one, other = build(name), build(name)
    one.observe(logits.to(dtype), labels)
    other.observe(logits.to(dtype).double(), labels)
    assert one.value().dtype == torch.float64
    torch.testing.assert_close(one.value(), other.value(), rtol=1e-6, atol=1e-7)


def test_true_positive_rate_is_the_diagonal_of_the_hard_matrix():
    rate, matrix = observed('rate', stream(10)), observed('hard matrix', stream(10))
    assert isinstance(matrix, ConfusionMatrix)
    assert torch.equal(rate.value(), matrix.value().diagonal())
