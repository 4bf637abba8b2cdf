import numpy as np
import pytest
import torch
from bacl.annotations import ClassTable
from bacl.models.losses import CountedLoss


class CountingLoss(CountedLoss):
    """Logits times the counts."""

    count_name = 'instance_count'

    def get_activation(self, cls_score):
        return cls_score

    def elementwise(self, logits, labels):
        return logits * self.known_counts().to(logits)


def table(images, instances):
    return ClassTable(('a', 'b'), np.array(images), np.array(instances), num_images=9)


def test_counts_are_asked_for_by_name_from_whoever_offers_the_class_table():
    loss = CountingLoss()
    loss.get_cls_channels(2)
    for module in loss.modules():
        if hasattr(module, 'set_class_counts'):
            module.set_class_counts(table([1, 2], [3, 5]))
    assert loss(torch.ones(1, 2), torch.tensor([0])).item() == 8


def test_counts_of_the_config_stay_and_without_any_the_loss_says_how_to_give_them():
    loss = CountingLoss(num_classes=2, counts=[1, 1])
    loss.class_counts.set_class_counts(table([1, 2], [3, 5]))
    assert loss.known_counts().tolist() == [1, 1]
    with pytest.raises(RuntimeError, match=r'no counts.*counts=\[\.\.\.\].*MethodHook'):
        CountingLoss(num_classes=2)(torch.ones(1, 2), torch.tensor([0]))


def test_a_checkpoint_brings_the_counts():
    tested = CountingLoss(2)
    tested.load_state_dict(CountingLoss(2).state_dict())
    with pytest.raises(RuntimeError):
        tested.known_counts()
    source = CountingLoss(2)
    source.class_counts.set_counts([3, 4])
    tested.load_state_dict(source.state_dict())
    assert tested.known_counts().tolist() == [3, 4]
