import bacl  # noqa: F401
import torch
from bacl.models.indicators.class_sums import add_class_sums


def sums_of(values, labels, num_classes):
    sums = torch.zeros(num_classes, values.size(1), dtype=torch.float64)
    counts = torch.zeros(num_classes, dtype=torch.float64)
    add_class_sums(sums, counts, values, torch.tensor(labels))
    return sums, counts


def test_values_are_added_per_class_and_background_is_left_out():
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0], [50.0, 60.0], [7.0, 8.0]])
    sums, counts = sums_of(values, [1, 1, 3, 0], num_classes=3)
    assert sums.tolist() == [[7, 8], [4, 6], [0, 0]]
    assert counts.tolist() == [1, 2, 0]


def test_samples_without_values_are_counted():
    sums, counts = sums_of(torch.zeros(3, 0), [1, 1, 2], num_classes=2)
    assert sums.shape == (2, 0) and counts.tolist() == [0, 2]


def test_steps_are_added_in_double():
    # 2**24 + 1 is no float32.
    sums, counts = torch.full((1, 1), 2.0**24).double(), torch.full((1,), 2.0**24).double()
    add_class_sums(sums, counts, torch.ones(1, 1), torch.tensor([0]))
    assert sums.item() == counts.item() == 2**24 + 1
