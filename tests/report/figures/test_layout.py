import bacl  # noqa: F401
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.report.figures.layout import (
    MANY_POINTS,
    bar_values,
    group_name,
    make_panels,
    pair_bars,
    running_median,
    scatter,
    set_layout,
    stacked,
)
from bacl.visualization.group_styles import GroupStyles


def test_layout_leaves_colours_and_width_to_the_page():
    layout = set_layout(go.Figure(go.Bar(x=[1], y=[2])), 'width (px)', 'images').layout
    assert layout.xaxis.title.text == 'width (px)' and layout.yaxis.title.text == 'images'
    assert layout.paper_bgcolor == layout.plot_bgcolor == 'rgba(0, 0, 0, 0)'
    assert layout.font.color is None and layout.width is None and not layout.showlegend


@pytest.mark.parametrize('num_panels', [1, 2, 5])
def test_panels_have_titles_and_only_the_left_ones_a_y_title(num_panels):
    chart, places = make_panels([f'panel {i}' for i in range(num_panels)])
    for place in places:
        chart.add_trace(go.Bar(x=[1], y=[1], showlegend=place is places[0]), **place)
    set_layout(chart, 'x', 'y')
    assert {annotation.text for annotation in chart.layout.annotations} == {
        f'panel {i}' for i in range(num_panels)}
    assert len({(p['row'], p['col']) for p in places}) == num_panels
    for place in places:
        axis = next(chart.select_yaxes(**place))
        assert (axis.title.text == 'y') == (place['col'] == 1)
        assert next(chart.select_xaxes(**place)).title.text == 'x'
    assert not chart.layout.showlegend  # one entry


@pytest.mark.parametrize('num_panels', [2, 3, 4, 5])
def test_panels_stand_below_each_other_on_a_phone(num_panels):
    chart, places = make_panels([f'panel {i}' for i in range(num_panels)])
    for place in places:
        chart.add_trace(go.Bar(x=[1], y=[1]), **place)
    before = set_layout(chart, 'x', 'y', title_height=30).to_json()
    layout = stacked(chart)
    assert chart.to_json() == before
    tops = []
    for number in range(1, num_panels + 1):
        axis = layout[f'yaxis{number if number > 1 else ""}']
        assert layout[axis.anchor.replace('x', 'xaxis')].domain == (0, 1)
        assert axis.title.text == 'y' and axis.showticklabels
        bottom, top = axis.domain
        assert not tops or top < tops[-1][0] - 0.05, 'between panels there is room for titles'
        tops.append((bottom, top))
        title = layout.annotations[number - 1]
        assert (title.text, title.x, title.y) == (f'panel {number - 1}', 0.5, top)
    assert (tops[0][1], tops[-1][0]) == (1, 0)
    # The legend keeps its distance in pixels.
    inner = layout.height - layout.margin.t - layout.margin.b
    assert (layout.legend.y - 1) * inner == pytest.approx(30)


def test_a_chart_in_one_column_has_no_other_layout():
    assert stacked(set_layout(go.Figure(go.Bar(x=[1], y=[2])), 'x', 'y')) is None
    chart, (place, ) = make_panels(['one'])
    assert stacked(set_layout(chart.add_trace(go.Bar(x=[1], y=[1]), **place), 'x', 'y')) is None


def test_bars_of_unknown_values_say_so():
    bars = bar_values([1, np.nan])
    assert bars['y'].tolist() == [1, 0] and bars['text'].tolist() == ['', 'n/a']


def test_running_median_is_shorter_at_the_ends():
    assert running_median(np.array([5., 1, 9, 2, 4]), 3).tolist() == [3, 5, 2, 4, 3]
    assert running_median(np.array([]), 5).tolist() == []


def test_many_points_are_drawn_by_the_graphics_processor():
    assert isinstance(scatter(MANY_POINTS, x=[1]), go.Scatter)
    assert isinstance(scatter(MANY_POINTS + 1, x=[1]), go.Scattergl)


def test_pairs_with_equal_short_names_stay_apart():
    names = ['a_very_long_name_of_a_class_1', 'a_very_long_name_of_a_class_2']
    pairs = pd.DataFrame({'true': names, 'predicted': ['cat', 'cat'], 'true_group': ['r', 'f'],
                          'share': [0.5, 0.2]})
    chart = pair_bars(pairs, GroupStyles(LVIS_GROUPS), 'share', '%{x}', [], 'x', 'y')
    assert [trace.y.tolist() for trace in chart.data] == [[0], [1], [0, 1]]
    assert chart.data[0].name == 'rare' and chart.data[1].name == 'frequent'
    assert len(set(chart.data[-1].text)) == 1 and chart.data[-1].mode == 'text'
    assert chart.data[0].customdata[0][0] == f'{names[0]} → cat'


def test_names_of_groups():
    groups = GroupStyles(LVIS_GROUPS)
    assert (group_name(groups, 'r'), group_name(groups, 'all')) == ('rare', 'all classes')
