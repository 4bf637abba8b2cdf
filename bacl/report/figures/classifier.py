"""Charts of what checkpoints tell of their classifier, indicators and hallucination.

Frames are those of :mod:`bacl.report.classifier`.
"""
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from bacl.visualization.group_styles import GroupStyles
from plotly.colors import sample_colorscale

from .base import Figure
from .layout import (
    NEUTRAL,
    pair_bars,
    run_style,
    running_median,
    scatter,
    set_layout,
)

# Epochs drawn; more cannot be told apart.
_MAX_EPOCHS = 6


def plot_weight_norms(frame: pd.DataFrame, groups: GroupStyles) -> Figure:
    """Weight norms of the classifiers of several checkpoints against frequency (Fig. 5).

    Args:
        frame: of :func:`~bacl.report.classifier.norm_frame`.
        groups: of the classes.
    """
    several_stages = frame['stage'].nunique() > 1
    parts = {f'{checkpoint}, stage {stage}' if several_stages else checkpoint: part
             for (checkpoint, stage), part in frame.groupby(['checkpoint', 'stage'], sort=False)}
    colours = [run_style(number)['color'] for number in range(len(parts))]
    chart = _by_rank(parts, groups, colours, 'relative_norm',
                     'weight norm / its mean over classes', '.2f')
    return Figure(
        'weight_norms', 'Weight norms of the classifier against class frequency',
        'Every point is a class, lines are running medians. Norms are divided by their mean, so '
        'that checkpoints compare; the frame has them as they are. How to read it depends on the '
        'optimizer. With SGD, as in Fig. 5 of the paper, norms fall to the right for a classifier '
        'that prefers frequent classes (rank correlation with the image count about +0.8 for a '
        'plain one) and are flat for a balanced one. AdamW turns the figure around: norms rise '
        'towards rare classes (-0.6 to -0.9).',
        frame, chart)


def plot_indicator_over_epochs(frame: pd.DataFrame, groups: GroupStyles) -> list[Figure]:
    """Strength of every class over epochs, and how likely it was to be hallucinated.

    Args:
        frame: of :func:`~bacl.report.classifier.indicator_frame`.
        groups: of the classes.

    Returns:
        Two figures per stage; without hallucination one, without an indicator none.
    """
    figures = []
    for stage, part in frame.groupby('stage', sort=False):
        suffix, where = (f'_{stage}', f', stage {stage}') if frame['stage'].nunique() > 1 \
            else ('', '')
        kind = part['kind'].iloc[0]
        epochs = sorted(part['epoch'].unique())
        drawn = sorted({epochs[i] for i in np.linspace(0, len(epochs) - 1, _MAX_EPOCHS).astype(int)}
                       ) if len(epochs) > _MAX_EPOCHS else epochs
        note = '' if len(drawn) == len(epochs) else \
            f' {len(drawn)} of {len(epochs)} epochs are drawn; the frame has all.'
        figures.append(Figure(
            f'indicator{suffix}', f'Long-term indicator of every class{where}',
            f'Strength by the {kind}: 1 is a class that the classifier knows, 0 one that it never '
            f'gets right. Every point is a class, lines are running medians.{note}', part,
            _over_epochs(part, groups, drawn, 'strength', 'strength', '.3f')))
        if part['probability'].notna().any():
            num_unknown = int((part.loc[part['epoch'] == epochs[-1], 'is_known'] == 0).sum())
            figures.append(Figure(
                f'hallucination{suffix}', f'How likely each class was to be hallucinated{where}',
                'The probability that a draw gave the class, by the strength at the end of each '
                'epoch (Eq. 12). What was drawn is not in a checkpoint; the ImbalanceHook counts '
                'it. Classes whose features are unknown have 0; after the last epoch these are '
                f'{num_unknown}.{note}',
                part, _over_epochs(part, groups, drawn, 'probability', 'probability of a draw',
                                   '.2%')))
    return figures


def plot_indicator_confusions(frames: dict[str, pd.DataFrame], groups: GroupStyles,
                              num_pairs: int = 20) -> list[Figure]:
    """The largest entries of the indicators' confusion matrices, a figure per checkpoint.

    Args:
        frames: of :func:`~bacl.report.results.confused_pairs_of_matrix`, by checkpoint.
        groups: of the classes.
        num_pairs: to be drawn, and kept in the figure's frame.
    """
    figures = []
    for number, (name, frame) in enumerate(frames.items()):
        top = frame.head(num_pairs)
        chart = pair_bars(top, groups, 'share', '%{x:.1%}', [],
                          'share of the score of the class', 'class → other class')
        chart.update_xaxes(tickformat='.0%')
        figures.append(Figure(
            f'indicator_confusions_{number}', f'Confusions seen in training: {name}',
            'Largest entries off the diagonal of the confusion matrix that training collected: '
            'which share of their score samples of a class gave to another. Colours are those of '
            'the true class.', top, chart))
    return figures


def _over_epochs(part: pd.DataFrame, groups: GroupStyles, epochs: list[int], value: str,
                 title: str, number_format: str) -> go.Figure:
    # Of a scale without its ends, which vanish on white or on black pages.
    shades = sample_colorscale('Viridis', np.linspace(0.75, 0.3, len(epochs)).tolist())
    chart = _by_rank({f'epoch {epoch}': part[part['epoch'] == epoch] for epoch in epochs}, groups,
                     shades, value, title, number_format)
    chart.update_yaxes(rangemode='tozero')
    if number_format.endswith('%'):
        chart.update_yaxes(tickformat='.1%')
    return chart


def _by_rank(parts: dict[str, pd.DataFrame], groups: GroupStyles, colours: list[str], value: str,
             y_title: str, number_format: str) -> go.Figure:
    """Points of the classes by rank, and on top of them a running median of each part."""
    parts = {name: part.sort_values('rank') for name, part in parts.items()}
    num_points = sum(len(part) for part in parts.values())
    points, lines = [], []
    for number, (name, part) in enumerate(parts.items()):
        style, colour = run_style(number), colours[number]
        points.append(scatter(
            num_points, x=part['rank'] + 1, y=part[value], mode='markers', legendgroup=name,
            showlegend=False, text=part['name'],
            customdata=[groups.label(group) for group in part['group']],
            # Thousands of points are a cloud, through which the lines should be seen.
            marker=dict(size=5 if num_points < 2000 else 4, opacity=min(0.45, 12 / num_points**0.5),
                        color=colour, symbol=style['symbol']),
            hovertemplate=f'%{{text}} (%{{customdata}})<br>{name}: %{{y:{number_format}}}'
                          '<extra></extra>'))
        lines.append(go.Scatter(
            x=part['rank'] + 1, y=running_median(part[value].to_numpy(), max(5, len(part) // 8)),
            mode='lines', name=name, legendgroup=name, hoverinfo='skip',
            line=dict(color=colour, width=2.5, dash=style['dash'])))
    chart = go.Figure([*points, *lines])
    _mark_groups(chart, next(iter(parts.values())), groups)
    return set_layout(chart, 'classes, by falling number of training images (rank)', y_title,
                      title_height=24)


def _mark_groups(chart: go.Figure, frame: pd.DataFrame, groups: GroupStyles) -> None:
    """Name the groups above their ranks."""
    for group, members in frame.groupby('group')['rank']:
        chart.add_annotation(
            x=float(members.median()) + 1, y=1, yref='paper', yanchor='bottom', showarrow=False,
            text=groups.label(group), font=dict(color=groups.style(group)['color'], size=12))
        if members.min() > 0:
            chart.add_vline(float(members.min()) + 0.5, line=dict(color=NEUTRAL, width=1,
                                                                  dash='dot'))
