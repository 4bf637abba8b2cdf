import bacl  # noqa: F401
import pytest
import torch
from bacl.models.indicators import ConfusionMatrix

C = 4


@pytest.mark.parametrize('hard', [False, True])
def test_rows_of_classes_that_were_seen_sum_to_one(hard):
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(20, C + 1, generator=generator, dtype=torch.float64)
    indicator = ConfusionMatrix(C, hard)
    indicator.observe(logits, torch.tensor([0, 1, 3, C]).repeat(5))
    torch.testing.assert_close(indicator.value().sum(1), torch.tensor([1.0, 1, 0, 1]).double())


def test_soft_and_hard_matrix_by_hand():
    # softmax(log 3, 0) = (0.75, 0.25), softmax(0, log 3) = (0.25, 0.75); background wins nothing.
    log3 = torch.tensor(3.0).log().item()
    logits = torch.tensor([[log3, 0, 9], [0, log3, 9], [log3, 0, 9]])
    labels = torch.tensor([0, 0, 1])
    soft, hard = ConfusionMatrix(2), ConfusionMatrix(2, hard=True)
    soft.observe(logits, labels)
    hard.observe(logits, labels)
    torch.testing.assert_close(soft.value(), torch.tensor([[0.5, 0.5], [0.75, 0.25]]).double())
    assert hard.value().tolist() == [[0.5, 0.5], [1, 0]]


def test_log_ratio_is_that_of_the_clamped_entries():
    indicator = ConfusionMatrix(2)
    # Class 0 is mistaken for class 1 half the time, class 1 almost never: below the floor 1e-3.
    indicator.score_sum.copy_(torch.tensor([[5.0, 5.0], [0.001, 9.999]]))
    indicator.num_samples.fill_(10)
    log_ratio = indicator.log_ratio(torch.tensor([0, 1, 0]))
    expected = torch.tensor([[0.0, 500.0], [1 / 500, 0], [0, 500.0]], dtype=torch.float64)
    expected[expected > 0] = expected[expected > 0].log()
    torch.testing.assert_close(log_ratio, expected)


def test_single_precision_takes_half_the_memory_and_keeps_every_pair():
    generator = torch.Generator().manual_seed(5)
    double, single = ConfusionMatrix(C), ConfusionMatrix(C, dtype='float32')
    for _ in range(20):
        logits = torch.randn(30, C + 1, generator=generator)
        labels = torch.randint(C + 1, (30,), generator=generator)
        double.observe(logits, labels)
        single.observe(logits, labels)
    assert single.score_sum.element_size() * 2 == double.score_sum.element_size()
    assert single.num_samples.dtype == torch.float64 and single.value().dtype == torch.float32
    torch.testing.assert_close(single.value().double(), double.value(), rtol=1e-5, atol=1e-7)
    classes = torch.arange(C)
    torch.testing.assert_close(single.log_ratio(classes), double.log_ratio(classes),
                               rtol=1e-4, atol=1e-5)


def test_other_types_are_refused():
    with pytest.raises(ValueError, match=r"ConfusionMatrix\(dtype=\).*'float16'"):
        ConfusionMatrix(C, dtype='float16')
