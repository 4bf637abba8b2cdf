"""Charts of runs beside each other.

Frames are those of :mod:`bacl.report.results`; differences are to the first run.
"""
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from bacl.visualization.group_styles import GroupStyles

from .base import Figure
from .layout import NEUTRAL, bar_values, group_name, run_style, scatter, set_layout

# Of bars, so that the intervals in the same colour can be seen on them.
_OPACITY = 0.55


def plot_group_ap(frame: pd.DataFrame, groups: GroupStyles) -> Figure:
    """AP of every group and run, with the intervals of a bootstrap.

    Args:
        frame: of :func:`~bacl.report.results.paired_bootstrap`.
        groups: of the classes.
    """
    chart = go.Figure()
    for number, run in enumerate(frame['run'].unique()):
        part, colour = frame[frame['run'] == run], run_style(number)['color']
        chart.add_trace(go.Bar(
            x=[group_name(groups, group) for group in part['group']], **bar_values(part['ap']),
            name=run, marker=dict(color=colour, opacity=_OPACITY),
            error_y=_bars(part, 'ap', 'ap_', colour),
            customdata=part[['ap_low', 'ap_high']],
            hovertemplate=f'{run}: AP %{{y:.1%}}<br>%{{customdata[0]:.1%}} to '
                          '%{customdata[1]:.1%}<extra></extra>'))
    set_layout(chart, 'frequency group', 'AP at IoU 0.50 to 0.95')
    chart.update_yaxes(tickformat='.0%', rangemode='tozero')
    return Figure('group_ap', 'AP of each group',
                  f'Bars are the measured AP. {_intervals(frame)}', frame, chart)


def plot_differences(frame: pd.DataFrame, groups: GroupStyles) -> Figure:
    """Difference of every run to the first, by group, with the intervals of a paired bootstrap.

    Args:
        frame: of :func:`~bacl.report.results.paired_bootstrap`, of at least two runs.
        groups: of the classes.
    """
    first, *others = frame['run'].unique()
    chart = go.Figure()
    for number, run in enumerate(others, start=1):
        part, colour = frame[frame['run'] == run], run_style(number)['color']
        chart.add_trace(go.Bar(
            x=[group_name(groups, group) for group in part['group']],
            **bar_values(part['difference']), name=run, marker=dict(color=colour, opacity=_OPACITY),
            error_y=_bars(part, 'difference', '', colour),
            customdata=part[['low', 'high', 'share_not_better']],
            hovertemplate=f'{run}: %{{y:+.1%}} AP<br>%{{customdata[0]:+.1%}} to '
                          '%{customdata[1]:+.1%}<br>not better in %{customdata[2]:.1%} of the '
                          'draws<extra></extra>'))
    set_layout(chart, 'frequency group', f'difference of AP to {first}')
    chart.update_yaxes(tickformat='+.1%')
    chart.update_layout(showlegend=True)  # with one other run, too: the axis names only the first
    return Figure(
        'ap_difference', f'Difference of AP to {first}',
        f'{_intervals(frame)} All runs get the same images. An interval that contains 0 may be the '
        'luck of these images; another training of the same config would vary, too.', frame, chart)


def plot_class_gains(frame: pd.DataFrame, groups: GroupStyles) -> list[Figure]:
    """AP of every class in a run against that in the first, and sorted gains; two a run.

    Args:
        frame: of :func:`~bacl.report.results.class_gains`.
        groups: of the classes.
    """
    figures = []
    for number, run in enumerate(frame['run'].unique(), start=1):
        part = frame[frame['run'] == run]
        first = part['first'].iloc[0]
        known = part[part['num_objects'] > 0].sort_values('gain', ascending=False, kind='stable')
        known = known.assign(place=np.arange(1, len(known) + 1))
        better, worse = int((known['gain'] > 0).sum()), int((known['gain'] < 0).sum())
        left_out = (f'{len(part) - len(known)} classes without objects in this data set are left '
                    'out.')
        counted = f'{better} classes gain, {worse} lose. {left_out}'
        figures += [
            Figure(f'class_ap_pairs_{number}', f'AP of every class: {run} against {first}',
                   f'Classes above the dotted line are better in {run}. {counted}', part,
                   _pairs(known, groups, run, first)),
            Figure(f'class_gains_{number}', f'Gains and losses of classes: {run} against {first}',
                   f'Every bar is a class, sorted by its difference of AP. {counted}', part,
                   _sorted_gains(known, groups, run, first))]
    return figures


def _pairs(known: pd.DataFrame, groups: GroupStyles, run: str, first: str) -> go.Figure:
    chart = go.Figure()
    for group in groups.present(known['group']):
        part = known[known['group'] == group]
        chart.add_trace(scatter(
            len(known), x=part['ap_first'], y=part['ap'], mode='markers', name=groups.label(group),
            text=part['name'], customdata=part[['gain', 'num_objects']],
            marker=dict(size=7, opacity=0.65, **groups.style(group)),
            hovertemplate='%{text}<br>%{x:.1%} → %{y:.1%} (%{customdata[0]:+.1%})<br>'
                          '%{customdata[1]:,} objects<extra></extra>'))
    end = float(known[['ap_first', 'ap']].max().max()) if len(known) else 1.
    chart.add_trace(go.Scatter(x=[0, end], y=[0, end], mode='lines', hoverinfo='skip', name='equal',
                               line=dict(color=NEUTRAL, dash='dot')))
    set_layout(chart, f'AP in {first}', f'AP in {run}', height=520)
    chart.update_xaxes(tickformat='.0%')
    chart.update_yaxes(tickformat='.0%')
    return chart


def _sorted_gains(known: pd.DataFrame, groups: GroupStyles, run: str, first: str) -> go.Figure:
    chart = go.Figure()
    for group in groups.present(known['group']):
        part = known[known['group'] == group]
        chart.add_trace(go.Bar(
            x=part['place'], y=part['gain'], name=groups.label(group), text=part['name'],
            textposition='none', marker=dict(color=groups.style(group)['color'], line_width=0),
            customdata=part[['ap_first', 'ap']],
            hovertemplate='%{text}<br>%{y:+.1%} AP (%{customdata[0]:.1%} → %{customdata[1]:.1%})'
                          '<extra></extra>'))
    set_layout(chart, 'classes, by difference (rank)', f'AP of {run} minus that of {first}')
    # Each place has one bar, of one group: bars of different groups need no room beside each other.
    chart.update_layout(barmode='overlay', bargap=0)
    chart.update_yaxes(tickformat='+.0%')
    return chart


def _bars(part: pd.DataFrame, value: str, prefix: str, colour: str) -> dict:
    """Asymmetric error bars."""
    low, high = part[f'{prefix}low'], part[f'{prefix}high']
    # The measured value can lie outside of the interval; a bar has no negative length.
    return dict(type='data', symmetric=False, array=(high - part[value]).clip(lower=0),
                arrayminus=(part[value] - low).clip(lower=0), thickness=2, color=colour)


def _intervals(frame: pd.DataFrame) -> str:
    return (f'Thin lines are percentile intervals of a bootstrap over images '
            f'({frame["num_draws"].max():,} draws): images are drawn with replacement, which '
            'raises AP of classes with few objects a little, so that intervals lie higher than '
            'bars.')
