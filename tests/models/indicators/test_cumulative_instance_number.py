import bacl  # noqa: F401
import torch
from bacl.models.indicators import CumulativeInstanceNumber


def test_number_grows_by_the_samples_of_a_step():
    indicator = CumulativeInstanceNumber(3)
    for expected in ([2, 0, 1], [4, 0, 2]):
        indicator.observe(torch.randn(5, 4), torch.tensor([0, 2, 3, 0, 3]))
        assert indicator.value().tolist() == expected
    assert indicator.strength().tolist() == [1, 0, 0.5]


def test_counts_beyond_float32():
    indicator = CumulativeInstanceNumber(1)
    indicator.num_samples.fill_(2.0**24)
    indicator.observe(torch.zeros(1, 2), torch.tensor([0]))
    assert indicator.value().item() == 2**24 + 1
