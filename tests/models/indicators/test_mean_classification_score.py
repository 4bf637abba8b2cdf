import bacl  # noqa: F401
import pytest
import torch
from bacl.models.indicators import MeanClassificationScore


def logits_of(*scores):
    """Logits of samples of class 0 with the given sigmoid scores, without background."""
    return torch.tensor([[p, 0.5] for p in scores], dtype=torch.float64).logit()


def test_two_steps_by_hand():
    indicator = MeanClassificationScore(1, gamma=0.9)
    indicator.observe(logits_of(0.2, 0.8), torch.tensor([0, 0]))  # mean 0.5
    assert indicator.value().item() == pytest.approx(0.9 * 0.01 + 0.1 * 0.5)  # 0.059
    indicator.observe(logits_of(0.7), torch.tensor([0]))
    assert indicator.value().item() == pytest.approx(0.9 * 0.059 + 0.1 * 0.7)


def test_repeating_the_samples_of_a_step_changes_nothing_but_a_second_step_does():
    once, twice, two_steps = (MeanClassificationScore(1) for _ in range(3))
    once.observe(logits_of(0.5), torch.tensor([0]))
    twice.observe(logits_of(0.5, 0.5), torch.tensor([0, 0]))
    for _ in range(2):
        two_steps.observe(logits_of(0.5), torch.tensor([0]))
    torch.testing.assert_close(once.value(), twice.value())
    assert two_steps.value().item() == pytest.approx(0.81 * 0.01 + 0.19 * 0.5)


def test_constant_score_is_approached_and_gamma_0_knows_the_last_step_only():
    indicator = MeanClassificationScore(1)
    for _ in range(300):
        indicator.observe(logits_of(0.6), torch.tensor([0]))
    assert indicator.value().item() == pytest.approx(0.6)
    forgetful = MeanClassificationScore(1, gamma=0.0)
    for score in (0.3, 0.4):
        forgetful.observe(logits_of(score), torch.tensor([0]))
    assert forgetful.value().item() == pytest.approx(0.4)


@pytest.mark.parametrize('gamma', [-0.1, 1.0, float('nan')])
def test_gamma_out_of_range_is_refused(gamma):
    with pytest.raises(ValueError, match=r'MeanClassificationScore\(gamma='):
        MeanClassificationScore(3, gamma)


def test_an_object_counts_once_however_many_samples_it_has():
    """gamma to the power of the number of objects; the mean over objects of their means."""
    indicator = MeanClassificationScore(2, gamma=0.9)
    # Objects: 0 (two samples of class 0), 1 (one of class 0), 2 (one of class 1); background.
    logits = torch.tensor([[.2, .5], [.4, .5], [.9, .5], [.5, .7], [.5, .5]],
                          dtype=torch.float64).logit()
    indicator.set_objects(torch.tensor([0, 0, 1, 2, 0]), 5)
    indicator.observe(logits, torch.tensor([0, 0, 0, 1, 2]))
    expected = [0.81 * 0.01 + 0.19 * (0.3 + 0.9) / 2, 0.9 * 0.01 + 0.1 * 0.7]
    assert indicator.value().tolist() == pytest.approx(expected)
    # The next step is not told: all samples of a class are one object.
    indicator.observe(logits, torch.tensor([0, 0, 0, 2, 2]))
    assert indicator.value()[0].item() == pytest.approx(0.9 * expected[0] + 0.1 * 0.5)


def test_softmax_scores_see_all_channels_also_in_half_precision():
    indicator = MeanClassificationScore(2, gamma=0.0, scores='softmax')
    logits = torch.tensor([[1., 2., 3.]])
    indicator.observe(logits, torch.tensor([1]))
    assert indicator.value()[1].item() == pytest.approx(logits.softmax(1)[0, 1].item())
    indicator.observe(torch.tensor([[6e4, 6e4, -6e4]], dtype=torch.half), torch.tensor([0]))
    assert indicator.value()[0] == 0.5


def test_scores_of_another_kind_are_refused():
    with pytest.raises(ValueError, match=r"MeanClassificationScore\(scores=.*'relu'"):
        MeanClassificationScore(3, scores='relu')
