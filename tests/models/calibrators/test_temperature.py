import bacl  # noqa: F401
import pytest
import torch
from bacl.models.calibrators import Temperature


def test_divides_all_logits_or_those_of_the_classes():
    logits = torch.tensor([[4., 6., 8.]])
    assert Temperature(2, 2.0)(logits).tolist() == [[2, 3, 4]]
    assert Temperature(2, [2, 3])(logits).tolist() == [[2, 2, 8]]
    assert torch.equal(Temperature(2, 1)(logits), logits)


@pytest.mark.parametrize('temperature', [0, -1.0, float('nan'), [1.0], [1.0, 0.0],
                                         [1.0, float('inf')]])
def test_other_than_a_positive_number_or_one_per_class_is_refused(temperature):
    with pytest.raises(ValueError, match=r'Temperature\(temperature=\)'):
        Temperature(2, temperature)
