import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.models.augmenters import class_probability, sample_classes
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.golden('bacl_fhm.npz')
def test_equals_official_probabilities_and_draws(golden):
    probability = class_probability(golden['correct_ratio'])
    torch.testing.assert_close(probability, golden['sampling_probability'])
    classes = sample_classes(probability, golden['sampling_uniform'])
    assert classes.tolist() == golden['sampled_classes'].tolist()


@given(strength=st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1), min_size=1,
                         max_size=6),
       uniform=st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75]) | st.floats(0, 0.999), max_size=9))
def test_equals_the_definition(strength, uniform):
    weakness = [1 - s for s in strength]
    if sum(weakness) == 0:
        weakness = [1.0] * len(strength)
    total = sum(weakness)
    probability = class_probability(torch.tensor(strength, dtype=torch.float64))
    assert probability.tolist() == pytest.approx([w / total for w in weakness], rel=1e-12)
    classes = sample_classes(probability, torch.tensor(uniform, dtype=torch.float64))
    expected = []
    for u in sorted(uniform):
        cumulated, i = 0.0, 0
        while i < len(strength) and cumulated + probability[i].item() <= u:
            cumulated, i = cumulated + probability[i].item(), i + 1
        expected.append(min(i, len(strength) - 1))
    assert classes.tolist() == expected
    # A class that needs no hallucination gets none, also from a draw of exactly 0.
    assert all(probability[i] > 0 for i in classes)


def test_frequency_of_draws_follows_the_weakness():
    strength = torch.tensor([1.0, 0.7, 0.1, 0.6])  # weakness 0, 0.3, 0.9, 0.4
    uniform = torch.rand(16000, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(sample_classes(class_probability(strength), uniform), minlength=4)
    expected = 16000 * np.array([0, 0.3, 0.9, 0.4]) / 1.6
    assert counts[0] == 0
    chi_square = (((counts.numpy() - expected)[1:]) ** 2 / expected[1:]).sum()
    assert chi_square < 9.21  # p > 0.01 at 2 degrees of freedom


def test_all_strong_classes_are_drawn_evenly():
    assert class_probability(torch.ones(4)).tolist() == [0.25] * 4


def test_a_draw_above_a_sum_that_rounds_below_one_takes_the_last_class():
    assert sample_classes(torch.tensor([0.5, 0.4999]), torch.tensor([0.99995])).tolist() == [1]


@pytest.mark.parametrize('strength', [[0.0, 0.0], [0.3, 0.9]])
def test_probabilities_sum_to_one(strength):
    assert class_probability(torch.tensor(strength)).sum().item() == pytest.approx(1)
