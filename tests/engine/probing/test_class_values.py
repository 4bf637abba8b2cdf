import numpy as np
import pytest
import torch
from bacl.engine.probing.class_values import classifier_norms, strengths
from bacl.models.indicators import TruePositiveRate
from torch import nn


class Head(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.fc_cls = nn.Linear(weight.shape[1], weight.shape[0])
        self.fc_cls.weight = nn.Parameter(weight)


def detector(*heads):
    model = nn.Module()
    model.roi_head = nn.Module()
    model.roi_head.bbox_head = heads[0] if len(heads) == 1 else nn.ModuleList(heads)
    return model


def test_norms_of_every_stage_in_order():
    weights = torch.randn(11, 6, 3)
    norms = classifier_norms(detector(*map(Head, weights)), 5)
    assert len(norms) == 11
    for norm, weight in zip(norms, weights, strict=True):
        np.testing.assert_allclose(norm, weight[:5].norm(dim=1), rtol=1e-6)
    half, = classifier_norms(detector(Head(weights[0].bfloat16())), 5)
    np.testing.assert_allclose(half, norms[0], rtol=0.01)


def test_a_classifier_that_is_no_layer_has_no_norms_and_one_of_few_rows_is_refused():
    assert classifier_norms(nn.Linear(2, 2), 5) == []
    with pytest.raises(ValueError, match='at most the 2 rows .* got 5'):
        classifier_norms(detector(Head(torch.ones(2, 3))), 5)


def test_every_module_with_a_strength_is_asked():
    class Loss(nn.Module):
        def __init__(self, indicator):
            super().__init__()
            self.indicator, self.strength_of_margin = indicator, 0.7

    class OfSomebodyElse(nn.Module):
        def strength(self):
            return torch.tensor([0.5, 1.])

    model = nn.Sequential(Loss(TruePositiveRate(2)), OfSomebodyElse(), nn.ReLU())
    assert [strength.tolist() for strength in strengths(model)] == [[0, 0], [0.5, 1]]
