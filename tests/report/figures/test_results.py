import bacl  # noqa: F401
import numpy as np
import pandas as pd
import pytest
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.report.figures.results import (
    plot_ap_by_cap,
    plot_class_ap,
    plot_confused_pairs,
    plot_error_types,
    plot_fixed_ap,
    plot_reliability,
)
from bacl.report.results import (
    ap_by_cap,
    class_ap_frame,
    confused_pairs,
    error_types,
    reliability,
)
from bacl.visualization.group_styles import GroupStyles

LVIS = GroupStyles(LVIS_GROUPS)
IMAGE_COUNT = np.array([0, 2, 20, 200, 300])


def fixed_frame(matches):
    return pd.DataFrame(dict(group=['all', 'r', 'c', 'f'], fixed_ap=[0.3, 0.2, np.nan, 0.4],
                             ap=[0.2, 0.1, np.nan, 0.3], max_dets_in_file=7))


def of_each(runs, function):
    return {name: function(run) for name, run in runs.items()}


@pytest.mark.parametrize('names', [['base'], ['base', 'better']])
def test_every_chart_of_one_and_of_several_runs(runs, names, check_figures):
    runs = {name: runs[name] for name in names}
    check_figures([
        *plot_class_ap(of_each(runs, lambda m: class_ap_frame(m, IMAGE_COUNT, IMAGE_COUNT)), LVIS),
        plot_ap_by_cap(of_each(runs, lambda m: ap_by_cap(m, (1, 2))), LVIS),
        plot_fixed_ap(of_each(runs, fixed_frame), LVIS),
        *plot_error_types(of_each(runs, error_types), LVIS),
        *plot_confused_pairs(of_each(runs, confused_pairs), LVIS),
        plot_reliability(of_each(runs, reliability), LVIS)])


def test_class_ap_says_what_it_cannot_show(runs):
    figure, = plot_class_ap({'x': class_ap_frame(runs['base'], IMAGE_COUNT, IMAGE_COUNT)}, LVIS)
    assert '1 classes without objects' in figure.caption
    assert '1 classes without training images' in figure.caption
    names = [trace.name for trace in figure.chart.data if trace.mode == 'markers']
    assert 'common: mean n/a' in names
    assert sum(len(trace.x) for trace in figure.chart.data if trace.mode == 'markers') == 3
    assert len(figure.frame) == 5


def test_groups_without_classes_are_not_available(runs):
    titles = {a.text for a in plot_ap_by_cap({'x': ap_by_cap(runs['base'])}, LVIS)
              .chart.layout.annotations}
    assert 'common: n/a' in titles and 'rare' in titles
    bars = plot_fixed_ap({'x': fixed_frame(runs['base'])}, LVIS).chart.data[0]
    assert dict(zip(bars.x, bars.text, strict=True))['common'] == 'n/a'
    gains, _ = plot_error_types({'x': error_types(runs['base'])}, LVIS)
    assert 'AP50 0 if it still has wrong detections' in gains.caption
    assert 'common: n/a' in gains.chart.data[0].x


def test_shares_of_gains_sum_to_one(runs):
    _, shares = plot_error_types({'x': error_types(runs['base'])}, LVIS)
    total = shares.frame.groupby('group')['share_of_gains'].sum(min_count=1)
    np.testing.assert_allclose(total[['all', 'r', 'f']], 1)
    assert np.isnan(total['c'])


def test_pairs_are_cut_to_the_first_ones(runs):
    frame = confused_pairs(runs['base'])
    figure, = plot_confused_pairs({'x': frame}, LVIS, num_pairs=2)
    assert figure.frame.equals(frame.head(2))
    empty, = plot_confused_pairs({'x': frame.head(0)}, LVIS)
    assert 'There is no such object' in empty.caption
