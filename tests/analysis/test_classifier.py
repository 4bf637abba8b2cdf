import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.analysis.classifier import (
    class_probabilities,
    classifier_norms,
    indicator_frame,
    indicator_states,
    known_classes,
    norm_frame,
)
from bacl.models.augmenters import class_probability
from bacl.models.indicators import (
    ConfusionMatrix,
    CumulativeInstanceNumber,
    ImageFrequency,
    MeanClassificationScore,
    TruePositiveRate,
)

INDICATORS = [
    ConfusionMatrix(4), ConfusionMatrix(4, dtype='float32'), TruePositiveRate(4),
    MeanClassificationScore(4), CumulativeInstanceNumber(4), ImageFrequency(4, [8, 4, 2, 0])]
CLASSES = dict(class_names=list('abcd'), groups=list('fcrr'), image_count=[3, 9, 5, 1])


def state_of(indicator, prefix='roi_head.bbox_head.loss_cls.indicator.'):
    return {prefix + name: value for name, value in indicator.state_dict().items()}


@pytest.mark.parametrize('indicator', INDICATORS, ids=lambda i: type(i).__name__)
@pytest.mark.parametrize('seen', [False, True])
def test_strength_is_that_of_the_indicator(indicator, seen):
    indicator.reset()
    if seen:
        torch.manual_seed(0)
        indicator.observe(torch.randn(30, 5), torch.randint(0, 3, (30, )))
    state, = indicator_states(state_of(indicator))
    np.testing.assert_allclose(state.strength, indicator.strength(), rtol=1e-6)
    if isinstance(indicator, ConfusionMatrix):
        np.testing.assert_allclose(state.confusion, indicator.value(), rtol=1e-6)
        assert state.num_samples.sum() == 30 * seen
    else:
        assert state.confusion is None
    known = np.array([True, True, True, False])
    expected = class_probability(indicator.strength()).numpy() * known
    np.testing.assert_allclose(class_probabilities(state.strength, known), expected, rtol=1e-5)


def test_probabilities_are_uniform_where_no_class_is_weak():
    assert class_probabilities(np.ones(4), np.ones(4, dtype=bool)).tolist() == [0.25] * 4


def test_norms_of_every_stage_in_order():
    weights = {stage: torch.randn(6, 3) for stage in (10, 2, 0)}
    state = {f'module.roi_head.bbox_head.{stage}.fc_cls.weight': weight
             for stage, weight in weights.items()}
    state['roi_head.bbox_head.0.fc_cls.bias'] = torch.zeros(6)
    norms = classifier_norms(state, 5)
    assert len(norms) == 3
    for norm, stage in zip(norms, (0, 2, 10), strict=True):
        np.testing.assert_allclose(norm, weights[stage][:5].norm(dim=1), rtol=1e-6)
    half, = classifier_norms({'roi_head.bbox_head.fc_cls.weight': weights[0].bfloat16()}, 5)
    np.testing.assert_allclose(half, norms[0], rtol=0.01)
    array, = classifier_norms({'bbox_head.fc_cls.weight': weights[0].numpy()}, 5)
    np.testing.assert_allclose(array, norms[0], rtol=1e-6)


def test_unfit_checkpoints_are_refused():
    with pytest.raises(ValueError, match='expects bbox_head.fc_cls.weight, got none'):
        classifier_norms({'backbone.weight': torch.ones(3)}, 5)
    with pytest.raises(ValueError, match='at most the 2 rows .* got 5'):
        classifier_norms({'roi_head.bbox_head.fc_cls.weight': torch.ones(2, 3)}, 5)
    with pytest.raises(ValueError, match=r"buffers of an indicator of bacl, got \['other'\]"):
        indicator_states({'roi_head.bbox_head.loss_cls.indicator.other': torch.ones(2)})
    with pytest.raises(ValueError, match='expects the 4 classes of the indicator, got 2'):
        indicator_frame({1: state_of(INDICATORS[0])}, ['a', 'b'], ['r', 'r'], [1, 1])


def test_norm_frame():
    state = {'roi_head.bbox_head.fc_cls.weight': torch.tensor([[3., 4], [0, 1], [2, 0], [0, 0],
                                                               [9, 9]])}
    frame = norm_frame({'x': state, 'y': state}, **CLASSES)
    assert frame['norm'].tolist() == [5, 1, 2, 0] * 2
    assert frame['relative_norm'].tolist() == [2.5, 0.5, 1, 0] * 2
    assert frame['rank'].tolist() == [2, 0, 1, 3] * 2 and set(frame['checkpoint']) == {'x', 'y'}


def test_indicator_frame_over_epochs():
    one, two = ConfusionMatrix(4), ConfusionMatrix(4)
    two.observe(torch.eye(5)[:4] * 100, torch.arange(4))
    known = {'roi_head.augmenters.0.distribution.is_known': torch.tensor([True, True, True,
                                                                             False])}
    frame = indicator_frame({2: {**state_of(two), **known}, 1: state_of(one)}, **CLASSES)
    assert frame['epoch'].tolist() == [1] * 4 + [2] * 4
    assert frame['strength'].tolist() == [0] * 4 + [1] * 4
    assert frame['probability'].isna().tolist() == [True] * 4 + [False] * 4
    assert frame['probability'].tolist()[4:] == [0.25, 0.25, 0.25, 0]
    assert frame['num_samples'].tolist() == [0] * 4 + [1] * 4
    assert indicator_frame({1: {}}, **CLASSES).empty


def test_stages_of_a_cascade():
    state = {}
    for stage in range(3):
        state |= state_of(MeanClassificationScore(4),
                          f'roi_head.bbox_head.{stage}.loss_cls.indicator.')
        state[f'roi_head.augmenters.{stage}.distribution.is_known'] = torch.ones(4) > stage
    assert len(indicator_states(state)) == 3
    assert [known.sum() for known in known_classes(state)] == [4, 0, 0]
    frame = indicator_frame({1: state}, **CLASSES)
    assert frame['stage'].unique().tolist() == [0, 1, 2] and frame['num_samples'].isna().all()
