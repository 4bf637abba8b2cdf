"""The common look of charts, without colours of its own, and the marks of runs."""
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from bacl.visualization.group_styles import GroupStyles
from plotly.subplots import make_subplots

from ..results.average_precision import ALL

# On white and on black; neither a group's.
NEUTRAL = '#808080'
_GRID = 'rgba(128, 128, 128, 0.25)'
_CLEAR = 'rgba(0, 0, 0, 0)'
# Of Okabe and Ito; the first run, with which others are compared, is grey.
_RUN_COLOURS = (NEUTRAL, '#0072B2', '#E69F00', '#CC79A7', '#009E73', '#56B4E9', '#D55E00')
_RUN_SYMBOLS = ('circle', 'square', 'diamond', 'cross', 'triangle-up', 'x', 'star', 'triangle-down')
_RUN_DASHES = ('solid', 'dash', 'dot', 'dashdot', 'longdash', 'longdashdot')
# From this many points on, browsers need their graphics processor.
MANY_POINTS = 5000
_STACKED_HEIGHT = 270  # of a panel with its titles, in pixels
_STACKED_SHARE = 0.68  # of that height without its titles
_NAME_LENGTH = 22  # of classes on bars; longer names do not fit on a phone


def group_name(groups: GroupStyles, key: str) -> str:
    """A group as people call it; 'all classes' for all."""
    return 'all classes' if key == ALL else groups.label(key)


def group_style(groups: GroupStyles, key: str) -> dict[str, str]:
    """Colour and symbol of a group, or those of all classes."""
    return dict(color=NEUTRAL, symbol='x') if key == ALL else groups.style(key)


def run_style(number: int) -> dict[str, str]:
    """Colour, symbol and dash of the n-th run."""
    return dict(color=_RUN_COLOURS[number % len(_RUN_COLOURS)],
                symbol=_RUN_SYMBOLS[number % len(_RUN_SYMBOLS)],
                dash=_RUN_DASHES[number % len(_RUN_DASHES)])


def scatter(num_points: int, **arguments) -> go.Scatter | go.Scattergl:
    """Points, drawn so that a browser bears their number."""
    return (go.Scattergl if num_points > MANY_POINTS else go.Scatter)(**arguments)


def make_panels(titles: Sequence[str], share_y: bool = True) -> tuple[go.Figure, list[dict]]:
    """A chart of panels, two in a row; :func:`stacked` puts them below each other.

    Args:
        titles: of the panels, at least one.
        share_y: whether all have the same range.

    Returns:
        The chart, to be given to :func:`set_layout`, and ``row`` and ``col`` of each panel.
    """
    num_cols = min(2, len(titles))
    num_rows = -(-len(titles) // num_cols)
    chart = make_subplots(rows=num_rows, cols=num_cols, subplot_titles=list(titles),
                          shared_yaxes='all' if share_y else False,
                          vertical_spacing=0.3 / num_rows, horizontal_spacing=0.1)
    return chart, [dict(row=number // num_cols + 1, col=number % num_cols + 1)
                   for number in range(len(titles))]


def set_layout(chart: go.Figure, x_title: str, y_title: str, height: int | None = None,
               title_height: int = 10) -> go.Figure:
    """Give a chart its axis titles and a look that fits light and dark pages.

    Args:
        chart: changed.
        x_title: with its unit; of every panel.
        y_title: the same; of the leftmost panels.
        height: in pixels. None is for 440, and 300 for each row of several.
        title_height: room between the legend and the chart for what is written there, in pixels.

    Returns:
        The chart.
    """
    num_rows = len({axis.domain for axis in chart.select_yaxes()})
    top, bottom = 60 + title_height, 60
    if height is None:
        height = 440 if num_rows == 1 else 300 * num_rows
    num_shown = sum(trace.showlegend is not False for trace in chart.data)
    chart.update_layout(
        template='none', paper_bgcolor=_CLEAR, plot_bgcolor=_CLEAR, height=height,
        margin=dict(l=60, r=20, t=top, b=bottom), hovermode='closest', showlegend=num_shown > 1,
        legend=dict(orientation='h', x=0, yanchor='bottom',
                    y=1 + title_height / (height - top - bottom)))
    for axis in (*chart.select_xaxes(), *chart.select_yaxes()):
        axis.update(gridcolor=_GRID, zerolinecolor=_GRID, automargin=True)
    chart.update_xaxes(title=dict(text=x_title, standoff=10))
    for axis in chart.select_yaxes():
        if axis.domain is None or chart.layout[_opposite(axis)].domain[0] == 0:
            axis.title = dict(text=y_title, standoff=10)
    return chart


def stacked(chart: go.Figure) -> go.Layout | None:
    """The layout of a chart of panels with all of them in one column, as on a phone.

    Args:
        chart: of :func:`make_panels` and :func:`set_layout`; it is not changed.

    Returns:
        None if the chart has no two panels beside each other.
    """
    axes = list(chart.select_yaxes())
    if len({chart.layout[_opposite(axis)].domain for axis in axes if axis.anchor}) < 2:
        return None
    layout = go.Figure(layout=chart.layout).layout
    titles = layout.annotations  # of the panels; the grid may have a place without one
    margin = layout.margin.t + layout.margin.b
    room = 1 / len(titles)
    for number, (axis, title) in enumerate(zip(axes, titles, strict=False)):
        top = 1 - number * room
        # Below the last panel the margin has room for its axis.
        bottom = top - _STACKED_SHARE * room if number < len(titles) - 1 else 0
        layout[_opposite(axis)].domain = [0, 1]
        layout[axis.plotly_name].update(domain=[bottom, top], showticklabels=True,
                                        title=axes[0].title)
        title.update(x=0.5, y=top)
    height = margin + _STACKED_HEIGHT * len(titles)
    above = (layout.legend.y - 1) * (layout.height - margin)
    layout.legend.y = 1 + above / (height - margin)
    layout.height = height
    return layout


def _opposite(axis: go.layout.YAxis) -> str:
    """Name in the layout of the x axis that belongs to a y axis of a panel."""
    return axis.anchor.replace('x', 'xaxis')


def bar_values(values: Sequence[float]) -> dict:
    """Heights and texts of bars: a value that is NaN is a bar without height that says 'n/a'."""
    values = np.asarray(values, dtype=float)
    unknown = np.isnan(values)
    return dict(y=np.where(unknown, 0, values), text=np.where(unknown, 'n/a', ''),
                textposition='outside', cliponaxis=False)


def running_median(values: np.ndarray, width: int) -> np.ndarray:
    """Median of the values around each one, fewer at the ends.

    Args:
        values: (N,).
        width: number of values, > 0.

    Returns:
        (N,).
    """
    half = width // 2
    return np.array([np.median(values[max(i - half, 0):i + half + 1])
                     for i in range(len(values))])


def pair_bars(pairs: pd.DataFrame, groups: GroupStyles, value: str, hover: str,
              hover_columns: Sequence[str], x_title: str, y_title: str) -> go.Figure:
    """Bars of pairs of classes, the first on top, coloured by the group of the true class.

    Args:
        pairs: with ``true``, ``predicted`` and ``true_group``.
        groups: of the classes.
        value: column of the lengths.
        hover: template of what is shown below the names.
        hover_columns: its custom data, from the second on.
        x_title: with its unit.
        y_title: what a pair is.
    """
    chart, place = go.Figure(), np.arange(len(pairs))
    names = pairs['true'].astype(str) + ' → ' + pairs['predicted'].astype(str)
    for group in groups.present(pairs['true_group']):
        rows = (pairs['true_group'] == group).to_numpy()
        chart.add_trace(go.Bar(
            y=place[rows], x=pairs.loc[rows, value], orientation='h',
            name=groups.label(group), marker_color=groups.style(group)['color'],
            customdata=np.column_stack([names[rows], *(pairs.loc[rows, column] for column in
                                                       hover_columns)]),
            hovertemplate=f'%{{customdata[0]}}<br>{hover}<extra></extra>'))
    set_layout(chart, x_title, y_title, height=180 + 22 * len(pairs))
    chart.update_traces(opacity=0.45)
    # Names stand on the bars, so that both have the width of a phone. Places, not names, are the
    # positions: shortened names can be equal.
    chart.add_trace(go.Scatter(
        x=np.zeros(len(pairs)), y=place, mode='text', textposition='middle right', cliponaxis=False,
        hoverinfo='skip', showlegend=False, text=[
            f'{_short(true)} → {_short(predicted)}' for true, predicted in
            zip(pairs['true'], pairs['predicted'], strict=True)]))
    chart.update_xaxes(range=[0, 1.05 * pairs[value].max()] if len(pairs) else None)
    chart.update_yaxes(autorange='reversed', showticklabels=False, showgrid=False)
    return chart


def _short(name: str) -> str:
    return name if len(name) <= _NAME_LENGTH else f'{name[:_NAME_LENGTH - 1]}…'
