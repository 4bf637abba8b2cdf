"""Charts of what runs get right and wrong, by class and frequency group.

Every function takes frames of :mod:`bacl.report.results`, per name of a run.
"""
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from bacl.evaluation import FIXED_AP_DETECTIONS
from bacl.visualization.group_styles import GroupStyles

from ..results.average_precision import ALL
from ..results.calibration import calibration_error
from ..results.error_types import BACKGROUND_IOU, ERROR_TYPES, FOREGROUND_IOU
from .base import Figure
from .layout import (
    NEUTRAL,
    bar_values,
    group_name,
    group_style,
    make_panels,
    pair_bars,
    run_style,
    scatter,
    set_layout,
)

_ERROR_COLOURS = ('#0072B2', '#E69F00', '#CC79A7', '#56B4E9', '#808080', '#D55E00')
_ERROR_PATTERNS = ('', '/', 'x', '.', '', '\\')
# Of neighbouring ticks of caps; closer ones would cover each other on a phone.
_TICK_RATIO = 1.9


def plot_class_ap(frames: dict[str, pd.DataFrame], groups: GroupStyles) -> list[Figure]:
    """AP of every class against its frequency in training, a figure per run.

    Args:
        frames: of :func:`~bacl.report.results.class_ap_frame`.
        groups: of the classes.
    """
    figures = []
    for number, (run, frame) in enumerate(frames.items()):
        measured = frame[frame['num_objects'] > 0]
        shown = measured[measured['image_count'] > 0]
        chart = go.Figure()
        for group in groups.present(frame['group']):
            part = shown[shown['group'] == group]
            mean = measured.loc[measured['group'] == group, 'ap'].mean()
            # 'n/a' is where the group has no class with objects.
            name = f'{groups.label(group)}: mean ' + ('n/a' if np.isnan(mean) else f'{mean:.1%}')
            chart.add_trace(scatter(
                len(shown), x=part['image_count'], y=part['ap'], mode='markers', name=name,
                legendgroup=group, text=part['name'],
                customdata=part[['instance_count', 'num_objects']],
                marker=dict(size=7, opacity=0.65, **group_style(groups, group)),
                hovertemplate='%{text}<br>AP %{y:.1%}<br>%{x:,} images, %{customdata[0]:,} '
                              'instances in training<br>%{customdata[1]:,} objects here'
                              '<extra></extra>'))
            if len(part):
                chart.add_trace(go.Scatter(
                    x=[part['image_count'].min(), part['image_count'].max()], y=[mean, mean],
                    mode='lines', line=dict(color=group_style(groups, group)['color'], width=3),
                    legendgroup=group, showlegend=False, hoverinfo='skip'))
        set_layout(chart, 'training images with the class (log scale)', 'AP at IoU 0.50 to 0.95')
        chart.update_xaxes(type='log', dtick=1)
        chart.update_yaxes(tickformat='.0%')
        caption = (f'Every point is a class, every line the mean of a group. '
                   f'{len(frame) - len(measured)} classes without objects in this data set are '
                   'left out.')
        if len(shown) < len(measured):
            caption += (f' {len(measured) - len(shown)} classes without training images, which a '
                        'log scale cannot show, are left out, too, but count in the means.')
        figures.append(Figure(f'class_ap_{number}', f'AP and training frequency of every class: '
                              f'{run}', caption, frame, chart))
    return figures


def plot_ap_by_cap(frames: dict[str, pd.DataFrame], groups: GroupStyles) -> Figure:
    """AP of every group against the cap on detections of an image; a panel per group.

    Args:
        frames: of :func:`~bacl.report.results.ap_by_cap`.
        groups: of the classes.
    """
    frame = _joined(frames)
    shown = frame['group'].unique().tolist()
    chart, panels = make_panels([
        group_name(groups, group) + (
            ': n/a' if frame.loc[frame['group'] == group, 'ap'].isna().all() else '')
        for group in shown], share_y=False)
    for number, run in enumerate(frames):
        style = run_style(number)
        for group, panel in zip(shown, panels, strict=True):
            part = frame[(frame['run'] == run) & (frame['group'] == group)]
            chart.add_trace(go.Scatter(
                x=part['cap'], y=part['ap'], name=run, legendgroup=run,
                showlegend=panel is panels[0],
                mode='lines+markers', line=dict(color=style['color'], dash=style['dash']),
                marker=dict(color=style['color'], symbol=style['symbol'], size=8),
                hovertemplate=f'{run}: AP %{{y:.1%}}<br>cap %{{x}}<extra></extra>'), **panel)
    set_layout(chart, 'detections of an image (log scale)', 'AP at IoU 0.50 to 0.95',
               title_height=30)
    ticks = _cap_ticks(frame['cap'])
    chart.update_xaxes(type='log', tickvals=ticks, ticktext=[str(cap) for cap in ticks])
    chart.update_yaxes(tickformat='.0%', rangemode='tozero')
    held = ', '.join(f'{cap} ({run})' for run, cap in
                     frame[frame['is_all']].groupby('run', sort=False)['cap'].first().items())
    return Figure(
        'ap_by_cap', 'AP of each group under other caps on the detections of an image',
        'A group whose AP rises with the cap is recognised, but crowded out by higher scores of '
        'other classes; one that stays low is not recognised. Panels have their own scales. The '
        'last point of a line is all that the file of detections holds of an image: '
        f'{held}. Test with a higher max_per_img to see beyond.', frame, chart)


def plot_fixed_ap(frames: dict[str, pd.DataFrame], groups: GroupStyles) -> Figure:
    """AP beside fixed AP of every group and run.

    Args:
        frames: of :func:`~bacl.report.results.fixed_ap`.
        groups: of the classes.
    """
    frame = _joined(frames)
    chart, panels = make_panels(list(frames))
    for run, panel in zip(frames, panels, strict=True):
        part = frame[frame['run'] == run]
        for kind, name, pattern in (('ap', 'AP', ''), ('fixed_ap', 'fixed AP', '/')):
            chart.add_trace(go.Bar(
                x=[group_name(groups, group) for group in part['group']], **bar_values(part[kind]),
                name=name, legendgroup=kind, showlegend=panel is panels[0],
                marker=dict(color=NEUTRAL if kind == 'ap' else '#56B4E9',
                            pattern=_pattern(pattern)),
                hovertemplate=f'{name} %{{y:.1%}}<br>%{{x}}<extra>{run}</extra>'), **panel)
    set_layout(chart, 'frequency group', 'AP at IoU 0.50 to 0.95', title_height=30)
    chart.update_yaxes(tickformat='.0%')
    held = ', '.join(f'{n} ({run})' for run, n in
                     frame.groupby('run', sort=False)['max_dets_in_file'].first().items())
    return Figure(
        'fixed_ap', 'AP without a cap on images',
        f'Fixed AP (Dave et al., 2021) takes the {FIXED_AP_DETECTIONS:,} highest scores of each '
        'class instead of a number of detections of each image, so that classes do not compete. It '
        'can only count what the test wrote, at most this many detections of an image: '
        f'{held}.', frame, chart)


def plot_error_types(frames: dict[str, pd.DataFrame], groups: GroupStyles) -> list[Figure]:
    """Cost and frequency of each type of error in each group; a panel per run.

    Args:
        frames: of :func:`~bacl.report.results.error_types`.
        groups: of the classes.
    """
    frame = _joined(frames)
    gain = frame['gain_ap50'].clip(lower=0)
    total = gain.groupby([frame['run'], frame['group']]).transform('sum')
    frame['share_of_gains'] = gain / total.where(total > 0)
    rule = (f'An error is a detection without a match at IoU {FOREGROUND_IOU}, or a missed object; '
            f'types as in TIDE, with background below IoU {BACKGROUND_IOU}. Detections of classes '
            'that are not labelled in their image are unknown and have no type. Missed objects are '
            'mended by not asking for them: a class without others then has AP50 0 if it still has '
            'wrong detections, else 1.')
    return [
        Figure('error_gains', 'What each type of error costs',
               'By how much AP50 of a group would rise if all errors of one type were mended, the '
               f'others left as they are; the gains do not add up to what is missing. {rule}',
               frame, _error_bars(frame, groups, 'gain_ap50', 'gain of AP50', 'group')),
        Figure('error_shares', 'Which type of error matters most to a group',
               f'Share of each type in the sum of the gains of all types. {rule}', frame,
               _error_bars(frame, groups, 'share_of_gains', 'share of the gains', 'stack'))]


def _error_bars(frame: pd.DataFrame, groups: GroupStyles, value: str, y_title: str,
                barmode: str) -> go.Figure:
    runs = frame['run'].unique()
    chart, panels = make_panels(runs)
    for run, panel in zip(runs, panels, strict=True):
        for number, error in enumerate(ERROR_TYPES):
            part = frame[(frame['run'] == run) & (frame['error'] == error)]
            chart.add_trace(go.Bar(
                # Six bars of a group that say 'n/a' would cover each other: its name says it.
                x=[group_name(groups, group) + (': n/a' if unknown else '') for group, unknown in
                   zip(part['group'], part[value].isna(), strict=True)],
                y=part[value], name=error, legendgroup=error, showlegend=panel is panels[0],
                customdata=part[['gain_ap50', 'count']],
                marker=dict(color=_ERROR_COLOURS[number],
                            pattern=_pattern(_ERROR_PATTERNS[number])),
                hovertemplate=f'%{{x}}: {error}<br>+%{{customdata[0]:.1%}} AP50<br>'
                              '%{customdata[1]:,} errors<extra></extra>'), **panel)
    set_layout(chart, 'frequency group', y_title, title_height=30)
    chart.update_layout(barmode=barmode)
    chart.update_yaxes(tickformat='.0%')
    return chart


def plot_confused_pairs(frames: dict[str, pd.DataFrame], groups: GroupStyles,
                        num_pairs: int = 20) -> list[Figure]:
    """The pairs of classes that are confused most, a figure per run.

    Args:
        frames: of :func:`~bacl.report.results.confused_pairs`.
        groups: of the classes.
        num_pairs: to be drawn, and in the figures' frames.
    """
    figures = []
    for number, (run, frame) in enumerate(frames.items()):
        top = frame[frame['num_outscored'] > 0].head(num_pairs)
        chart = pair_bars(
            top, groups, 'num_outscored',
            '%{x} of %{customdata[2]} objects (%{customdata[1]:.0%})<br>'
            'detected on %{customdata[3]}, mean score %{customdata[4]:.2f}',
            ['share_outscored', 'num_labelled', 'num_objects', 'mean_score'],
            'objects on which the wrong class has the higher score', 'class → what it is taken for')
        caption = ('An object counts if a detection of the wrong class lies on it with IoU of 0.5 '
                   'or more and no detection of the right class has a higher score there. Colours '
                   'are those of the right class. Detections of classes that are not labelled in '
                   'their image do not count.')
        if not len(top):
            caption += ' There is no such object.'
        figures.append(Figure(f'confused_pairs_{number}', f'Most confused classes: {run}', caption,
                              top, chart))
    return figures


def plot_reliability(frames: dict[str, pd.DataFrame], groups: GroupStyles) -> Figure:
    """Precision against score by group; a panel per run.

    Args:
        frames: of :func:`~bacl.report.results.reliability`.
        groups: of the classes.
    """
    frame = _joined(frames)
    errors = pd.concat([calibration_error(part).assign(run=run) for run, part in frames.items()])
    chart, panels = make_panels(list(frames))
    for run, panel in zip(frames, panels, strict=True):
        for group in frame['group'].unique():
            part = frame[(frame['run'] == run) & (frame['group'] == group) & (frame['count'] > 0)]
            style = group_style(groups, group)
            chart.add_trace(go.Scatter(
                x=part['mean_score'], y=part['precision'], mode='lines+markers',
                name=group_name(groups, group), legendgroup=group, showlegend=panel is panels[0],
                customdata=part['count'], line=dict(color=style['color']),
                marker=dict(size=7, **style),
                hovertemplate=f'{group_name(groups, group)}<br>mean score %{{x:.2f}}, precision '
                              '%{y:.1%}<br>%{customdata:,} detections<extra></extra>'), **panel)
        chart.add_trace(go.Scatter(
            x=[0, 1], y=[0, 1], mode='lines', name='calibrated', legendgroup='calibrated',
            showlegend=panel is panels[0], hoverinfo='skip',
            line=dict(color=NEUTRAL, dash='dot')), **panel)
    set_layout(chart, 'mean score of the bin', 'precision at IoU 0.5', title_height=30)
    chart.update_xaxes(range=[0, 1])
    chart.update_yaxes(range=[0, 1], tickformat='.0%')
    overall = ', '.join(
        f'{row.run} ' + ('n/a' if np.isnan(row.calibration_error) else
                         f'{row.calibration_error:.3f}')
        for row in errors[errors['group'] == ALL].itertuples())
    return Figure(
        'reliability', 'Does a score say how likely a detection is right?',
        'Below the dotted line scores promise too much. Detections with a score below '
        f'{frame["score_low"].min():.2f} are left out. Expected calibration error over all '
        f'classes: {overall}.',
        frame.merge(errors[['run', 'group', 'calibration_error', 'bias']], on=['run', 'group']),
        chart)


def _cap_ticks(caps: pd.Series) -> list[int]:
    """Caps to be named on a log scale, from the largest down, those too close left out."""
    ticks = []
    for cap in sorted(set(caps.tolist()), reverse=True):
        if not ticks or cap * _TICK_RATIO <= ticks[-1]:
            ticks.append(cap)
    return ticks


def _pattern(shape: str) -> dict:
    """A pattern over the colour of a bar, for those who cannot tell the colours apart."""
    return dict(shape=shape, fillmode='overlay', fgcolor='black', fgopacity=0.5, size=6)


def _joined(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([frame.assign(run=run) for run, frame in frames.items()], ignore_index=True)
