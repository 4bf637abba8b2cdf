import math

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.indicators.per_class import PerClassCount, PerClassScore


class Fixed:
    """An indicator that says what it is told."""

    def __init__(self, statistic):
        super().__init__(len(statistic))
        self.statistic = torch.tensor(statistic)

    def observe(self, logits, labels):
        pass

    def value(self):
        return self.statistic

    def reset(self):
        pass


class FixedCount(Fixed, PerClassCount):
    pass


class FixedScore(Fixed, PerClassScore):
    pass


def test_log_ratio_is_positive_where_the_other_class_is_stronger():
    log_ratio = FixedCount([8.0, 2.0, 4.0]).log_ratio(torch.tensor([1, 0]))
    expected = [math.log(2) * n for n in (2, 0, 1, 0, -2, -1)]
    assert log_ratio.flatten().tolist() == pytest.approx(expected)


def test_ratios_are_those_of_statistics_raised_to_the_floor():
    assert FixedCount([0.0, 1.0, 5.0]).log_ratio(torch.tensor([0])).tolist() == [
        pytest.approx([0, 0, math.log(5)])]
    assert FixedScore([0.0, 0.0005, 0.5]).log_ratio(torch.tensor([0])).tolist() == [
        pytest.approx([0, 0, math.log(500)])]


def test_counts_are_divided_by_the_largest_and_scores_are_not():
    assert FixedCount([4.0, 1.0, 0.0]).strength().tolist() == [1, 0.25, 0]
    assert FixedCount([0.0, 0.0]).strength().tolist() == [0, 0]
    assert FixedScore([0.5, 0.25]).strength().tolist() == [0.5, 0.25]
