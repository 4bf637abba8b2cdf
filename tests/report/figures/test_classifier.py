import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.report.classifier import (
    ClassifierState,
    IndicatorState,
    indicator_frame,
    norm_frame,
)
from bacl.report.figures.classifier import (
    plot_indicator_confusions,
    plot_indicator_over_epochs,
    plot_weight_norms,
)
from bacl.report.results import confused_pairs_of_matrix
from bacl.visualization.group_styles import GroupStyles

GROUPS = GroupStyles(LVIS_GROUPS)


@pytest.fixture
def classes(lvis_classes):
    return lvis_classes('f' * 9 + 'c' * 9 + 'r' * 12, image_count=np.arange(30)[::-1])


def checkpoint(seed, num_stages=1):
    rng = np.random.default_rng(seed)
    return ClassifierState(
        [rng.random(30) for _ in range(num_stages)],
        [IndicatorState('confusion matrix', rng.random(30), np.full(30, 30.), None)
         for _ in range(num_stages)], [np.arange(30) < 28] * num_stages)


def test_every_chart(check_figures, classes):
    epochs = {epoch: checkpoint(epoch) for epoch in range(1, 4)}
    indicator = plot_indicator_over_epochs(indicator_frame(epochs, classes), GROUPS)
    matrix = confused_pairs_of_matrix(np.random.default_rng(0).random((30, 30)), classes)
    figures = [plot_weight_norms(norm_frame({'a': epochs[1], 'b': epochs[2]}, classes), GROUPS),
               *indicator, *plot_indicator_confusions({'a': matrix}, GROUPS, num_pairs=7)]
    check_figures(figures)
    assert [figure.name for figure in indicator] == ['indicator', 'hallucination']
    assert 'these are 2.' in indicator[1].caption
    assert len(figures[-1].frame) == 7
    assert {a.text for a in figures[0].chart.layout.annotations} == {'frequent', 'common', 'rare'}


def test_stages_of_a_cascade_have_charts_of_their_own(check_figures, classes):
    state = checkpoint(0, num_stages=2)
    figures = plot_indicator_over_epochs(indicator_frame({1: state}, classes), GROUPS)
    check_figures(figures)
    assert [f.name for f in figures] == ['indicator_0', 'hallucination_0', 'indicator_1',
                                         'hallucination_1']
    norms = plot_weight_norms(norm_frame({'a': state}, classes), GROUPS)
    assert [t.name for t in norms.chart.data if t.mode == 'lines'] == ['a, stage 0', 'a, stage 1']


def test_of_many_epochs_some_are_drawn_the_first_and_the_last_among_them(classes):
    state = checkpoint(0)
    figure, _ = plot_indicator_over_epochs(
        indicator_frame({e: state for e in range(1, 25)}, classes), GROUPS)
    names = [trace.name for trace in figure.chart.data if trace.mode == 'lines']
    assert len(names) == 6 and names[0] == 'epoch 1' and names[-1] == 'epoch 24'
    assert '6 of 24 epochs are drawn' in figure.caption and len(figure.frame) == 24 * 30


def test_without_an_indicator_there_is_no_chart(classes):
    state = ClassifierState([], [], [])
    assert plot_indicator_over_epochs(indicator_frame({1: state}, classes), GROUPS) == []
