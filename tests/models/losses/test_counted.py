import numpy as np
import pytest
import torch
from bacl.annotations import ClassTable
from bacl.models.losses import CountedLoss, ImageShareLoss


class CountingLoss(CountedLoss):
    """Logits times the counts."""

    count_name = 'instance_count'

    def get_activation(self, cls_score):
        return cls_score

    def elementwise(self, logits, labels):
        return logits * self.known_counts().to(logits)


class SharingLoss(ImageShareLoss):
    """Logits times the shares."""

    get_activation = CountingLoss.get_activation

    def elementwise(self, logits, labels):
        return logits * self.class_counts.known_shares().to(logits)


def table(images, instances, num_annotated_images=None):
    return ClassTable(('a', 'b'), np.array(images), np.array(instances), num_images=9,
                      num_annotated_images=num_annotated_images)


def shares(loss):
    return loss.class_counts.known_shares().tolist()


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


def test_shares_are_of_the_images_with_annotations_or_else_of_all():
    loss = SharingLoss(2)
    for num_annotated_images, expected in ((8, [0.25, 0.5]), (None, [2 / 9, 4 / 9])):
        loss.class_counts.set_class_counts(table([2, 4], [3, 5], num_annotated_images))
        assert shares(loss) == expected
        assert loss(torch.ones(1, 2), torch.tensor([0])).item() == pytest.approx(sum(expected))


def test_shares_of_the_config_stay_and_an_annotation_file_gives_them(make_lvis):
    loss = SharingLoss(2, counts=[1, 2], num_images=4)
    for change in (lambda: loss.class_counts.set_class_counts(table([2, 4], [3, 5])),
                   lambda: loss.load_state_dict(saved.state_dict())):  # noqa: B023
        saved = SharingLoss(2, counts=[3, 3], num_images=6)
        change()
        assert shares(loss) == [0.25, 0.5]
    ann_file = make_lvis('v1') / 'annotations' / 'lvis_v1_train.json'
    # 2, 4 and 1 images as the file says it; five images have annotations.
    assert shares(SharingLoss(3, ann_file=ann_file)) == [2 / 5, 4 / 5, 1 / 5]


def test_a_checkpoint_brings_the_shares():
    tested, source = SharingLoss(2), SharingLoss(2)
    source.class_counts.set_class_counts(table([2, 4], [3, 5], 8))
    tested.load_state_dict(source.state_dict())
    assert shares(tested) == [0.25, 0.5]


def test_shares_need_both_numbers_of_the_same_data():
    for kwargs in (dict(counts=[1, 1]), dict(num_images=3)):
        with pytest.raises(ValueError, match='counts=, num_images='):
            SharingLoss(2, **kwargs)
    with pytest.raises(ValueError, match=r'num_images=.*at least .* 4, got 3'):
        SharingLoss(2, counts=[4, 1], num_images=3)
    with pytest.raises(ValueError, match=r'num_images=.*at least .* 4, got 3'):
        SharingLoss(2).class_counts.set_class_counts(table([4, 1], [4, 1], 3))
