import math

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.indicators import objectness_scores, short_term_indicator


def test_scores_of_equation_5_by_hand():
    # p = (0.5, 0.75), p_bg = 0.2: 0.5 * 0.8, 0.75 * 0.8, 0.2.
    logits = torch.tensor([[0.0, math.log(3), -math.log(4)]])
    assert objectness_scores(logits).tolist() == [pytest.approx([0.4, 0.6, 0.2])]


def test_short_term_indicator_is_the_foreground_part_without_gradient():
    logits = torch.randn(5, 4, requires_grad=True)
    indicator = short_term_indicator(logits)
    assert torch.equal(indicator, objectness_scores(logits)[:, :-1])
    assert not indicator.requires_grad
