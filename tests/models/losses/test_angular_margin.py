import copy
import math

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.models.losses import C2AMLoss, ROGLoss, SoftmaxCELoss, c2am_logits
from bacl.models.predictors import CosineLinear
from hypothesis import given
from hypothesis import strategies as st
from mmdet.registry import MODELS

norms = st.lists(st.floats(0.01, 100), min_size=3, max_size=3)
angles = st.lists(st.floats(0.1, 2.5), min_size=3, max_size=3)


def build_head(loss, **predictor):
    return MODELS.build(dict(
        type='Shared2FCBBoxHead', in_channels=4, fc_out_channels=8, roi_feat_size=1, num_classes=2,
        loss_cls=loss, cls_predictor_cfg=dict(type='CosineLinear') | predictor))


def test_equals_a_second_implementation():
    rng = np.random.default_rng(0)
    angle, labels = rng.uniform(0.2, 2.5, (5, 4)), rng.integers(0, 4, 5)
    norm, scale, alpha = np.array([3.0, 0.2, 1.0, 1.0]), 30.0, 0.5
    expected = np.array([[
        scale * math.cos(theta + max(0, alpha / math.pi * math.log(norm[i] / norm[j])))
        for j, theta in enumerate(row)] for row, i in zip(angle, labels, strict=True)])
    value = c2am_logits(torch.tensor(scale * np.cos(angle)), torch.tensor(labels),
                        torch.tensor(norm), scale, alpha)
    np.testing.assert_allclose(value.numpy(), expected, rtol=0, atol=1e-9)


def test_by_hand():
    # A norm e^pi times that of the other class and alpha = 1/2: a margin of half a radian.
    logits = torch.tensor([[0.0, 0.0]] * 2, dtype=torch.float64)
    value = c2am_logits(logits, torch.tensor([0, 1]), torch.tensor([math.exp(math.pi), 1.0]),
                        scale=2.0, alpha=0.5)
    assert value[0].tolist() == pytest.approx([0, -2 * math.sin(0.5)])
    assert value[1].tolist() == [0, 0]  # the class with the smaller norm has none


@given(angles, norms, st.integers(0, 2))
def test_margins_only_lower_competitors_with_smaller_norms(angle, norm, label):
    logits, norm = 30 * torch.tensor([angle], dtype=torch.float64).cos(), torch.tensor(norm)
    change = c2am_logits(logits, torch.tensor([label]), norm, 30.0, 0.1)[0] - logits[0]
    assert change[label].abs() < 1e-9 and (change <= 1e-9).all()
    assert (change[norm >= norm[label]].abs() < 1e-9).all()
    assert (change[norm < 0.99 * norm[label]] < 0).all()


@given(angles, norms, st.floats(0.01, 100))
def test_only_ratios_of_norms_matter(angle, norm, factor):
    logits, norm = 30 * torch.tensor([angle], dtype=torch.float64).cos(), torch.tensor(norm)
    first, second = (c2am_logits(logits, torch.tensor([0]), n, 30.0, 0.5)
                     for n in (norm, factor * norm))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-4)


def test_with_equal_norms_or_without_alpha_it_is_a_softmax_of_cosines():
    logits, labels = 20 * torch.rand(4, 4) - 10, torch.tensor([0, 1, 2, 3])
    plain = SoftmaxCELoss(3)(logits, labels)
    for alpha, norm in ((0.5, torch.ones(4)), (0.0, torch.rand(4) + 1)):
        loss, layer = C2AMLoss(3, alpha=alpha), CosineLinear(1, 4, scale=30.0, learns_scale=False)
        layer.weight.data = norm[:, None]
        loss.set_classifier(layer)
        torch.testing.assert_close(loss(logits, labels), plain)


def test_a_head_from_a_config_tells_its_classifier_and_no_norm_has_a_gradient():
    head = build_head(dict(type='C2AMLoss'), scale=30.0, learns_scale=False).double()
    head.fc_cls.weight.data[0] *= 9
    feats, labels = torch.rand(4, 8).double(), torch.tensor([0, 1, 2, 0])
    logits = head.fc_cls(feats)
    loss = head.loss_cls(logits, labels)
    expected = c2am_logits(logits, labels, head.fc_cls.weight.detach().norm(dim=1), 30.0, 0.5)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(expected, labels))
    loss.backward()
    # Cosines do not change along a weight, so a gradient along it would be one of the norms.
    along = (head.fc_cls.weight.grad * head.fc_cls.weight).sum(1)
    torch.testing.assert_close(along, torch.zeros(3).double(), rtol=0, atol=1e-9)


def test_a_copy_of_a_head_has_its_own_classifier_once():
    head = build_head(dict(type='C2AMLoss'))
    copied = copy.deepcopy(head)
    assert copied.loss_cls._classifier[0] is copied.fc_cls is not head.fc_cls
    assert not list(head.loss_cls.parameters()) and not head.loss_cls.state_dict()


def test_the_loss_inside_of_a_loss_is_told_too():
    head = build_head(dict(type='ROGLoss', loss=dict(type='C2AMLoss')))
    assert isinstance(head.loss_cls, ROGLoss)
    assert head.loss_cls.loss._classifier == [head.fc_cls]


def test_a_sample_of_weight_zero_is_as_if_it_were_not_there():
    head = build_head(dict(type='C2AMLoss'))
    logits, labels = head.fc_cls(torch.rand(4, 8)), torch.tensor([0, 1, 2, 1])
    value = head.loss_cls(logits, labels, torch.tensor([1.0, 1.0, 1.0, 0.0]), avg_factor=3.0)
    torch.testing.assert_close(value, head.loss_cls(logits[:3], labels[:3], avg_factor=3.0))


@pytest.mark.parametrize('predictor', [dict(type='Linear'), dict(with_gain=True)])
def test_other_classifiers_are_refused_when_the_head_is_built(predictor):
    with pytest.raises(TypeError, match='C2AMLoss expects a cosine classifier.*Linear'):
        build_head(dict(type='C2AMLoss'), **predictor)


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match='alpha='):
        C2AMLoss(3, alpha=-1)
    with pytest.raises(RuntimeError, match='does not know the classifier'):
        C2AMLoss(3)(torch.zeros(1, 4), torch.tensor([0]))
    with pytest.raises(TypeError, match='got Linear'):
        C2AMLoss(3).set_classifier(torch.nn.Linear(2, 4))
