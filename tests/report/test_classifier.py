import numpy as np
import pytest
import torch
from bacl.models.augmenters import ClassFeatureDistribution, class_probability
from bacl.models.indicators import (
    ConfusionMatrix,
    CumulativeInstanceNumber,
    ImageFrequency,
    MeanClassificationScore,
    TruePositiveRate,
)
from bacl.report.classifier import (
    ClassifierState,
    IndicatorState,
    draw_probabilities,
    indicator_frame,
    norm_frame,
)
from torch import nn

INDICATORS = [
    ConfusionMatrix(4), ConfusionMatrix(4, dtype='float32'), TruePositiveRate(4),
    MeanClassificationScore(4), CumulativeInstanceNumber(4), ImageFrequency(4, [8, 4, 2, 0])]


@pytest.fixture
def classes(lvis_classes):
    return lvis_classes('fcrr', 'abcd', [3, 9, 5, 1])


@pytest.mark.parametrize('indicator', INDICATORS, ids=lambda i: type(i).__name__)
def test_what_an_indicator_tells(indicator):
    indicator.reset()
    torch.manual_seed(0)
    indicator.observe(torch.randn(30, 5), torch.randint(0, 3, (30, )))
    state, = ClassifierState.of_model(nn.Sequential(indicator), 4).indicators
    np.testing.assert_allclose(state.strength, indicator.strength(), rtol=1e-6)
    if isinstance(indicator, ConfusionMatrix):
        assert state.kind == 'confusion matrix' and state.num_samples.sum() == 30
        np.testing.assert_allclose(state.confusion, indicator.value(), rtol=1e-6)
    else:
        assert state.confusion is None
    known = np.array([True, True, True, False])
    expected = class_probability(indicator.strength()).numpy() * known
    np.testing.assert_allclose(draw_probabilities(state.strength, known), expected, rtol=1e-5)


def test_an_indicator_of_somebody_else_needs_no_more_than_a_strength():
    class MarginOf42(nn.Module):
        def strength(self):
            return torch.tensor([0.5, 0.25])

    state, = ClassifierState.of_model(nn.Sequential(MarginOf42()), 2).indicators
    assert state.kind == 'margin of42' and state.strength.tolist() == [0.5, 0.25]
    assert state.num_samples is None and state.confusion is None


def test_classes_with_known_features():
    distribution = ClassFeatureDistribution(3, 2)
    distribution.is_known[1] = True
    known, = ClassifierState.of_model(nn.Sequential(distribution), 3).known
    assert known.tolist() == [False, True, False]


def state_of(norms=(), strength=None, known=(), num_samples=None):
    indicators = [] if strength is None else [
        IndicatorState('confusion matrix', np.array(strength, dtype=float), num_samples, None)]
    return ClassifierState([np.array(norm, dtype=float) for norm in norms], indicators,
                           [np.array(k) for k in known])


def test_norm_frame(classes):
    state = state_of([[5, 1, 2, 0]])
    frame = norm_frame({'x': state, 'y': state, 'z': state_of()}, classes)
    assert frame['norm'].tolist() == [5, 1, 2, 0] * 2
    assert frame['relative_norm'].tolist() == [2.5, 0.5, 1, 0] * 2
    assert frame['rank'].tolist() == [2, 0, 1, 3] * 2 and set(frame['checkpoint']) == {'x', 'y'}
    assert frame['group'].tolist() == list('fcrr') * 2


def test_indicator_frame_over_epochs(classes):
    known = [[True, True, True, False]]
    frame = indicator_frame({2: state_of((), [1] * 4, known, np.ones(4)),
                             1: state_of((), [0] * 4)}, classes)
    assert frame['epoch'].tolist() == [1] * 4 + [2] * 4
    assert frame['strength'].tolist() == [0] * 4 + [1] * 4
    assert frame['probability'].isna().tolist() == [True] * 4 + [False] * 4
    assert frame['probability'].tolist()[4:] == [0.25, 0.25, 0.25, 0]
    assert frame['num_samples'].tolist()[4:] == [1] * 4 and frame['num_samples'][:4].isna().all()
    assert indicator_frame({1: state_of()}, classes).empty


def test_stages_of_a_cascade(classes):
    one = state_of((), [0.5] * 4)
    state = ClassifierState([], one.indicators * 3, [np.arange(4) > stage for stage in range(3)])
    frame = indicator_frame({1: state}, classes)
    assert frame['stage'].unique().tolist() == [0, 1, 2]
    assert (frame['probability'] == 0).groupby(frame['stage']).sum().tolist() == [1, 2, 3]


def test_an_indicator_of_other_classes_is_refused(classes):
    with pytest.raises(ValueError, match='expects the 2 classes of the indicator, got 4'):
        indicator_frame({1: state_of((), [1, 0])}, classes)
