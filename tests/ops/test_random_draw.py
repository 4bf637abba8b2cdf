import pytest
import torch
from bacl.ops import draw_samples
from hypothesis import given
from hypothesis import strategies as st


@given(seed=st.integers(0, 999), num=st.integers(0, 8),
       counts=st.lists(st.floats(0, 10), min_size=1, max_size=3))
def test_takes_as_many_candidates_as_asked_for_or_all(seed, num, counts):
    generator = torch.Generator().manual_seed(seed)
    is_candidate = torch.rand(len(counts), num, generator=generator) < 0.7
    count = torch.tensor(counts).floor()
    taken = draw_samples(is_candidate, count)
    assert not taken[~is_candidate].any() and ((taken == 0) | (taken == 1)).all()
    assert torch.equal(taken.sum(1), count.minimum(is_candidate.sum(1)).double())


def test_every_candidate_is_as_likely_and_draws_are_independent():
    torch.manual_seed(0)
    is_candidate = torch.tensor([[True] * 4 + [False]] * 2)
    draws = torch.stack([draw_samples(is_candidate, torch.tensor([1, 1])) for _ in range(2000)])
    first, second = draws[..., :4].argmax(2).t()
    pairs = torch.bincount(4 * first + second, minlength=16)
    assert not draws[..., 4].any()
    # Chi-square with 15 degrees of freedom: 37.7 is exceeded once in 1,000.
    assert ((pairs - 125) ** 2 / 125).sum() < 37.7


def test_the_mean_of_all_draws_is_a_share_of_each_candidate():
    is_candidate = torch.tensor([[True] * 4 + [False]] * 3)
    mean = draw_samples(is_candidate, torch.tensor([1, 9, 0]), at_random=False)
    assert mean.tolist() == [[0.25] * 4 + [0], [1] * 4 + [0], [0] * 5]
    assert draw_samples(is_candidate[:, 4:], torch.tensor([1, 9, 0]), False).tolist() == [[0]] * 3


@pytest.mark.parametrize('shape', [(0, 3), (2, 0)])
def test_of_nothing_nothing_is_taken(shape):
    assert draw_samples(torch.ones(shape, dtype=torch.bool), torch.ones(shape[0])).shape == shape
