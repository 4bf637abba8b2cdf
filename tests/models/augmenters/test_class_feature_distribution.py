import bacl  # noqa: F401
import pytest
import torch
import torch.nn.functional as F
from bacl.models.augmenters import ClassFeatureDistribution, FeatureHallucinator, batch_moments
from bacl.models.augmenters.class_feature_distribution import merge_moments
from hypothesis import given
from hypothesis import strategies as st

official_numbers = pytest.mark.golden('bacl_fhm.npz')


def official_distribution(golden):
    return ClassFeatureDistribution(int(golden['num_classes']), int(golden['feat_dim']),
                                    float(golden['decay_ratio'])).double()


@official_numbers
def test_equals_official_statistics_over_three_updates(golden):
    distribution = official_distribution(golden)
    for step in range(3):
        distribution.observe(golden[f'embeddings_{step}'], golden[f'labels_{step}'])
        for ours, theirs in ((distribution.mean, 'prototype'), (distribution.var, 'variance'),
                             (distribution.is_known, 'used')):
            torch.testing.assert_close(ours.double(), golden[f'{theirs}_after_{step}'].double(),
                                       rtol=1e-9, atol=1e-14)


@official_numbers
def test_equals_official_hallucinated_features(golden):
    distribution = official_distribution(golden)
    distribution.mean.copy_(golden['prototype_after_2'])
    distribution.var.copy_(golden['variance_after_2'])
    feats = distribution.sample(golden['hallucinated_labels'], golden['noise'][:, None])
    torch.testing.assert_close(feats[:, 0], golden['hallucinated_features'],
                               rtol=1e-9, atol=1e-14)


@given(seed=st.integers(0, 10**6), num_samples=st.integers(0, 12))
def test_moments_equal_torchs_class_by_class(seed, num_samples):
    generator = torch.Generator().manual_seed(seed)
    # A mean of 1000 makes sums of squares cancel if they are not centred.
    feats = 1000 + torch.randn(num_samples, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(4, (num_samples,), generator=generator)
    classes, count, mean, var = batch_moments(feats, labels, 4)
    assert classes.tolist() == sorted(set(labels.tolist()))
    assert_moments_are_torchs(feats, labels, classes, count, mean, var)


def assert_moments_are_torchs(feats, labels, classes, count, mean, var):
    for k, c in enumerate(classes):
        own = feats[labels == c]
        assert count[k] == len(own) > 0
        expected_var = own.var(0) if len(own) > 1 else torch.zeros(3).double()
        torch.testing.assert_close(mean[k], own.mean(0), rtol=1e-12, atol=0)
        torch.testing.assert_close(var[k], expected_var, rtol=1e-9, atol=1e-12)


@given(seed=st.integers(0, 10**6), sizes=st.lists(st.integers(0, 8), min_size=2, max_size=4))
def test_merged_moments_are_those_of_all_samples(seed, sizes):
    generator = torch.Generator().manual_seed(seed)
    feats, labels, parts = [], [], []
    for size in sizes:
        feats.append(1000 + torch.randn(size, 3, generator=generator, dtype=torch.float64))
        labels.append(torch.randint(4, (size,), generator=generator))
        classes, count, mean, var = batch_moments(feats[-1], labels[-1], 4)
        squares = var * (count - 1)[:, None]
        # As from another rank, with a void row behind.
        parts.append((torch.cat([classes, torch.zeros(1, dtype=torch.long)]),
                      F.pad(torch.cat([mean, squares, count[:, None]], dim=1), (0, 0, 0, 1))))
    classes, count, mean, squares = merge_moments(parts, 4)
    feats, labels, is_present = torch.cat(feats), torch.cat(labels), count[:, 0] > 0
    assert classes[is_present].tolist() == sorted(set(labels.tolist()))
    var = squares / (count - 1).clamp(min=1)
    assert_moments_are_torchs(feats, labels, classes[is_present], count[is_present],
                              mean[is_present], var[is_present])


@pytest.mark.parametrize('momentum', [0.1, 1.0])
@given(seed=st.integers(0, 10**6), sizes=st.lists(st.integers(0, 6), max_size=5),
       num_present=st.integers(1, 4), scale=st.sampled_from([0.0, 1.0, 1e4]))
def test_equals_the_definition_over_steps(momentum, seed, sizes, num_present, scale):
    generator = torch.Generator().manual_seed(seed)
    distribution = ClassFeatureDistribution(4, 2, momentum).double()
    mean, var, known = [[0.0, 0.0] for _ in range(4)], [[0.0, 0.0] for _ in range(4)], [False] * 4
    for size in sizes:
        feats = scale * torch.randn(size, 2, generator=generator, dtype=torch.float64)
        labels = torch.randint(num_present, (size,), generator=generator)
        distribution.observe(feats, labels)
        for c in set(labels.tolist()):
            own = feats[labels == c].tolist()
            for d in range(2):
                new_mean = sum(row[d] for row in own) / len(own)
                new_var = sum((row[d] - new_mean) ** 2 for row in own) / max(len(own) - 1, 1)
                rate = momentum if known[c] else 1
                mean[c][d] = (1 - rate) * mean[c][d] + rate * new_mean
                var[c][d] = (1 - rate) * var[c][d] + rate * new_var
            known[c] = True
    for ours, expected in ((distribution.mean, mean), (distribution.var, var)):
        torch.testing.assert_close(ours, torch.tensor(expected, dtype=torch.float64),
                                   rtol=1e-9, atol=1e-9 * max(scale, 1))
    assert distribution.is_known.tolist() == known and (distribution.var >= 0).all()


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize('labels', [[], [1], [1] * 32, [0, 1, 2] * 10])
def test_features_of_ten_thousand_in_any_precision_leave_finite_moments(dtype, labels):
    distribution = ClassFeatureDistribution(3, 2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        feats = (1e4 * torch.randn(len(labels), 2, generator=generator)).to(dtype)
        distribution.observe(feats, torch.tensor(labels, dtype=torch.long))
    assert distribution.mean.isfinite().all() and distribution.var.isfinite().all()
    assert (distribution.var >= 0).all()
    assert (distribution.var[1] > 0).all() == (len(labels) > 1)
    drawn = distribution.sample(torch.arange(3), torch.randn(3, 5, 2, generator=generator))
    assert drawn.isfinite().all()


def test_first_sight_copies_later_sights_mix_and_absent_classes_rest():
    distribution = ClassFeatureDistribution(3, 1, momentum=0.25).double()
    distribution.observe(torch.tensor([[2.], [4.]]).double(), torch.tensor([0, 0]))
    assert distribution.mean[0] == 3 and distribution.var[0] == 2
    distribution.observe(torch.tensor([[7.], [5.]]).double(), torch.tensor([0, 1]))
    # Class 0: 3 + (7 - 3) / 4; its variance of a single sample is 0. Class 1 is new.
    assert distribution.mean.flatten().tolist() == [4, 5, 0]
    assert distribution.var.flatten().tolist() == [1.5, 0, 0]
    assert distribution.is_known.tolist() == [True, True, False]


def test_an_empty_step_changes_nothing():
    distribution = ClassFeatureDistribution(2, 3)
    distribution.observe(torch.randn(4, 3), torch.tensor([0, 0, 1, 1]))
    before = {k: v.clone() for k, v in distribution.state_dict().items()}
    distribution.observe(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long))
    assert all(torch.equal(v, before[k]) for k, v in distribution.state_dict().items())


def test_drawn_features_have_the_moments_of_the_distribution():
    distribution = ClassFeatureDistribution(2, 2)
    distribution.mean.copy_(torch.tensor([[0., 0.], [5., -5.]]))
    distribution.var.copy_(torch.tensor([[1., 1.], [4., 9.]]))
    noise = torch.randn(2, 10000, 2, generator=torch.Generator().manual_seed(0))
    feats = distribution.sample(torch.ones(2, dtype=torch.long), noise).flatten(0, 1)
    # Standard errors: sigma / sqrt(n) = 0.02; four of them leave a chance of 1e-4.
    assert feats.mean(0).tolist() == pytest.approx([5, -5], abs=0.09)
    assert feats.std(0).tolist() == pytest.approx([2, 3], rel=0.03)


@pytest.mark.parametrize('momentum', [0, -0.1, 1.5])
def test_momentum_is_checked(momentum):
    with pytest.raises(ValueError, match='momentum='):
        ClassFeatureDistribution(2, 2, momentum)


@pytest.mark.parametrize('on_gpu', [False, True], ids=['', 'as on a GPU'])
def test_background_is_left_out(monkeypatch, on_gpu):
    if on_gpu:
        monkeypatch.setattr('bacl.ops.class_groups.is_on_cpu', lambda tensor: False)
    feats, labels = torch.randn(6, 2), torch.tensor([2, 0, 2, 1, 0, 2])  # 2 is background
    with_background, without = ClassFeatureDistribution(2, 2), ClassFeatureDistribution(2, 2)
    with_background.observe(feats, labels)
    without.observe(feats[labels < 2], labels[labels < 2])
    for name, value in with_background.state_dict().items():
        torch.testing.assert_close(value, without.state_dict()[name])
    nothing = ClassFeatureDistribution(2, 2)
    nothing.observe(float('inf') * torch.ones(2, 2), torch.tensor([2, 2]))
    assert not any(value.any() for value in nothing.state_dict().values())


@pytest.mark.parametrize('sync', [True, False])
def test_statistics_are_of_all_ranks_or_of_one(monkeypatch, sync):
    asked = []
    monkeypatch.setattr(
        'bacl.models.augmenters.class_feature_distribution.gather_rows',
        lambda classes, rows: asked.append(classes) or [(classes, rows), (classes, rows)])
    hallucinator = FeatureHallucinator(2, 2, sync=sync)
    hallucinator.distribution.observe(torch.tensor([[1., 3.]]), torch.tensor([0]))
    hallucinator.distribution.observe(torch.tensor([[2., 3.]]), torch.tensor([0]))
    assert len(asked) == 2 * sync
    assert hallucinator.distribution.mean[0].tolist() == pytest.approx([1.1, 3])
