import bacl  # noqa: F401
import torch
from bacl.models.indicators.class_sums import class_sums


def test_values_are_added_per_class_and_background_is_left_out():
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0], [50.0, 60.0], [7.0, 8.0]])
    sums, counts = class_sums(values, torch.tensor([1, 1, 3, 0]), num_classes=3)
    assert sums.tolist() == [[7, 8], [4, 6], [0, 0]]
    assert counts.tolist() == [1, 2, 0]


def test_samples_without_values_are_counted():
    sums, counts = class_sums(torch.zeros(3, 0), torch.tensor([1, 1, 2]), num_classes=2)
    assert sums.shape == (2, 0) and counts.tolist() == [0, 2]


def test_sums_are_in_double():
    # 2**24 + 1 is no float32.
    values = torch.tensor([[2.0**24], [1.0]])
    sums, counts = class_sums(values, torch.tensor([0, 0]), num_classes=1)
    assert sums.item() == 2**24 + 1 and counts.dtype == torch.float64
