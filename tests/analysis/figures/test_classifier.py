import bacl  # noqa: F401
import numpy as np
import torch
from bacl.analysis.classifier import indicator_frame, norm_frame
from bacl.analysis.figures.classifier import (
    plot_indicator_confusions,
    plot_indicator_over_epochs,
    plot_weight_norms,
)
from bacl.analysis.results import confused_pairs_of_matrix

CLASSES = dict(class_names=[f'thing {i}' for i in range(30)], groups=list('f' * 9 + 'c' * 9
                                                                          + 'r' * 12),
               image_count=np.arange(30)[::-1])
HEAD = 'roi_head.bbox_head'


def checkpoint(seed, stages=('', )):
    torch.manual_seed(seed)
    state = {}
    for number, stage in enumerate(stages):
        state |= {f'{HEAD}{stage}.fc_cls.weight': torch.randn(31, 4),
                  f'{HEAD}{stage}.loss_cls.indicator.score_sum': torch.rand(30, 30),
                  f'{HEAD}{stage}.loss_cls.indicator.num_samples': torch.full((30, ), 30.),
                  f'roi_head.augmenters.{number}.distribution.is_known': torch.arange(30) < 28}
    return state


def test_every_chart(check_figures):
    epochs = {epoch: checkpoint(epoch) for epoch in range(1, 4)}
    indicator = plot_indicator_over_epochs(indicator_frame(epochs, **CLASSES))
    matrix = confused_pairs_of_matrix(np.random.default_rng(0).random((30, 30)),
                                      CLASSES['class_names'], CLASSES['groups'])
    figures = [plot_weight_norms(norm_frame({'a': epochs[1], 'b': epochs[2]}, **CLASSES)),
               *indicator, *plot_indicator_confusions({'a': matrix}, num_pairs=7)]
    check_figures(figures)
    assert [figure.name for figure in indicator] == ['indicator', 'hallucination']
    assert 'these are 2.' in indicator[1].caption
    assert len(figures[-1].frame) == 7
    assert {a.text for a in figures[0].chart.layout.annotations} == {'frequent', 'common', 'rare'}


def test_stages_of_a_cascade_have_charts_of_their_own(check_figures):
    state = checkpoint(0, ('.0', '.1'))
    figures = plot_indicator_over_epochs(indicator_frame({1: state}, **CLASSES))
    check_figures(figures)
    assert [f.name for f in figures] == ['indicator_0', 'hallucination_0', 'indicator_1',
                                         'hallucination_1']
    norms = plot_weight_norms(norm_frame({'a': state}, **CLASSES))
    assert [t.name for t in norms.chart.data if t.mode == 'lines'] == ['a, stage 0', 'a, stage 1']


def test_of_many_epochs_some_are_drawn_the_first_and_the_last_among_them():
    state = checkpoint(0)
    figure, _ = plot_indicator_over_epochs(indicator_frame({e: state for e in range(1, 25)},
                                                           **CLASSES))
    names = [trace.name for trace in figure.chart.data if trace.mode == 'lines']
    assert len(names) == 6 and names[0] == 'epoch 1' and names[-1] == 'epoch 24'
    assert '6 of 24 epochs are drawn' in figure.caption and len(figure.frame) == 24 * 30


def test_without_an_indicator_there_is_no_chart():
    assert plot_indicator_over_epochs(indicator_frame({1: {}}, **CLASSES)) == []
