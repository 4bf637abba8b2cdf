import bacl  # noqa: F401
import numpy as np
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.report.figures.comparison import plot_class_gains, plot_differences, plot_group_ap
from bacl.report.results import class_gains, paired_bootstrap
from bacl.visualization.group_styles import GroupStyles

LVIS = GroupStyles(LVIS_GROUPS)


def test_every_chart(runs, check_figures):
    runs = {**runs, 'third': runs['better']}
    frame = paired_bootstrap(runs, num_draws=20)
    figures = [plot_group_ap(frame, LVIS), plot_differences(frame, LVIS),
               *plot_class_gains(class_gains(runs), LVIS)]
    check_figures(figures)
    assert len(figures) == 6  # two for each run but the first


def test_bars_have_their_intervals_and_groups_without_classes_none(runs):
    frame = paired_bootstrap(runs, num_draws=20)
    bars, = plot_differences(frame, LVIS).chart.data
    part = frame[frame['run'] == 'better']
    np.testing.assert_allclose(bars.y, part['difference'].fillna(0))
    np.testing.assert_allclose(bars.error_y.array, (part['high'] - part['difference']).clip(0))
    np.testing.assert_allclose(bars.error_y.arrayminus, (part['difference'] - part['low']).clip(0))
    assert dict(zip(bars.x, bars.text, strict=True))['common'] == 'n/a'


def test_gains_are_sorted_and_classes_without_objects_left_out(runs):
    pairs, gains = plot_class_gains(class_gains(runs), LVIS)
    places = {place: gain for trace in gains.chart.data
              for place, gain in zip(trace.x, trace.y, strict=True)}
    assert list(sorted(places)) == [1, 2, 3, 4]
    assert [places[i] for i in range(1, 5)] == sorted(places.values(), reverse=True)
    assert '1 classes without objects' in gains.caption and 'against base' in pairs.title
    assert pairs.chart.layout.xaxis.title.text == 'AP in base'
