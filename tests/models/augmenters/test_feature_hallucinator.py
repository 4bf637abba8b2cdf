import bacl  # noqa: F401
import pytest
import torch
from bacl.models.augmenters import FeatureHallucinator, Samples


def test_known_weak_classes_get_features_and_unknown_ones_void_ones():
    torch.manual_seed(0)
    hallucinator = FeatureHallucinator(4, 2, num_sampled_classes=50, num_features_per_class=3)
    hallucinator.distribution.observe(torch.tensor([[9., 9.], [-9., -9.]]), torch.tensor([1, 2]))
    # Class 0 is weak but unknown; class 1 is strong; class 3 is weak and unknown.
    feats, labels = hallucinator.hallucinate(torch.tensor([0.0, 1.0, 0.5, 0.0]))[:2]
    assert set(labels.tolist()) == {2, 4} and len(feats) == len(labels) == 150
    assert torch.equal(feats[labels == 2], torch.full(((labels == 2).sum(), 2), -9.))


def test_number_of_features_is_constant_and_labels_come_in_blocks():
    hallucinator = FeatureHallucinator(3, 2, num_sampled_classes=8, num_features_per_class=12)
    hallucinator.distribution.observe(torch.randn(9, 2), torch.arange(3).repeat(3))
    feats, labels = hallucinator.hallucinate(torch.zeros(3))[:2]
    assert feats.shape == (96, 2)
    assert (labels.view(8, 12) == labels.view(8, 12)[:, :1]).all()


def test_without_statistics_all_features_are_void():
    feats, labels = FeatureHallucinator(3, 2).hallucinate(torch.zeros(3))[:2]
    assert feats.shape == (96, 2) and feats.isfinite().all()
    assert labels.tolist() == [3] * 96


@pytest.mark.parametrize('labels', [[], [2], [2] * 16])
@pytest.mark.parametrize('strength', [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [1.0, 1.0, 0.5]])
def test_one_box_or_none_or_one_class_gives_finite_features_of_known_classes(labels, strength):
    hallucinator = FeatureHallucinator(3, 2)
    hallucinator.distribution.observe(1e4 * torch.ones(len(labels), 2),
                                      torch.tensor(labels, dtype=torch.long))
    feats, drawn = hallucinator.hallucinate(torch.tensor(strength, dtype=torch.float64))[:2]
    assert feats.isfinite().all() and set(drawn.tolist()) <= {*labels, 3}
    assert (feats[drawn == 2] == 1e4).all()
    if strength[0] == 1 and strength[2] < 1:
        assert set(drawn.tolist()) == ({2} if labels else {3})


@pytest.mark.parametrize('name', ['num_sampled_classes', 'num_features_per_class'])
def test_arguments_out_of_range_are_named(name):
    with pytest.raises(ValueError, match=f'{name}='):
        FeatureHallucinator(3, 2, **{name: 0})


def test_statistics_are_of_the_boxes_and_collected_also_before_the_draw_starts():
    hallucinator = FeatureHallucinator(3, 2)
    rois = Samples(torch.full((4, 2), 7.), torch.tensor([0, 1, 2, 3]))
    boxes = Samples(torch.ones(2, 2), torch.tensor([1, 1]))
    hallucinator.hallucinating = False
    extra = hallucinator(rois, boxes, torch.zeros(3))
    assert len(extra.feats) == len(extra.labels) == 0
    assert hallucinator.scalars() == {'fhm/known_classes': 1}
    hallucinator.hallucinating = True
    extra = hallucinator(rois, boxes, torch.zeros(3))
    assert set(extra.labels.tolist()) <= {1, 3} and extra.total_weight is None
    assert (extra.feats[extra.labels == 1] == 1).all()
