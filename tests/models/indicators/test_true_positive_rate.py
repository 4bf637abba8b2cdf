import bacl  # noqa: F401
import torch
from bacl.models.indicators import TruePositiveRate


def test_share_of_correct_samples_by_hand():
    indicator = TruePositiveRate(2)
    # The background logit is the largest of every sample and has no vote.
    logits = torch.tensor([[2.0, 1, 9], [1, 2, 9], [3, 0, 9], [0, 1, 9], [5, 1, 9]])
    indicator.observe(logits, torch.tensor([0, 0, 0, 1, 2]))
    assert indicator.num_correct.tolist() == [2, 1]
    assert indicator.num_samples.tolist() == [3, 1]
    indicator.observe(logits[:1], torch.tensor([1]))
    torch.testing.assert_close(indicator.value(), torch.tensor([2 / 3, 1 / 2]).double())
