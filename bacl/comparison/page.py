"""The page of a comparison: AP of the rare classes against AP, and the numbers behind it."""
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from bacl.report.figures.base import Figure
from bacl.report.figures.layout import NEUTRAL, run_style, set_layout
from bacl.report.page import Section, write_page
from bacl.report.page.page import Table

_COLUMNS = {
    'row': 'row', 'AP': 'AP', 'APr': 'APr', 'APc': 'APc', 'APf': 'APf',
    'fixed_AP': 'fixed AP', 'fixed_APr': 'fixed APr', 'exhaustive_AP': 'exhaustive AP',
    'AP_over_baseline': 'AP over baseline', 'APr_over_baseline': 'APr over baseline',
    'calibration_error': 'calibration error', 'cpu_seconds': 'CPU s', 'peak_mb': 'peak MB',
    'state_mb': 'state MB', 'seeds': 'seeds'}


def write_comparison_page(folder: Path, frame: pd.DataFrame, trials: pd.DataFrame,
                          baseline: str) -> Path:
    """Write a page about a comparison.

    Args:
        folder: gets ``index.html`` and ``csv/``.
        frame: of :func:`~bacl.comparison.comparison_frame`.
        trials: what was tried on the held-out images.
        baseline: name of the row that gains are measured against.

    Returns:
        The page.
    """
    shown = frame[list(_COLUMNS)].rename(columns=_COLUMNS)
    blocks = [
        plot_ap(frame, 'AP', 'ap_and_rare', 'at the cap of the benchmark'),
        plot_ap(frame, 'fixed_AP', 'fixed_ap_and_rare', 'with hardly any cap (fixed AP)'),
        Table('comparison', 'All rows', 'In percent; differences are to '
              f'{baseline} with the same seed. Classes by frequency: r rare, c common, f frequent.',
              shown, signed=['AP over baseline', 'APr over baseline'], is_sortable=True)]
    sections = [Section('results', 'Results', 'How methods do that were trained alike.', blocks)]
    if len(trials):
        sections.append(Section(
            'tuning', 'Tuning', 'What was tried for each method, on held-out training images.',
            [Table('trials', 'Trials', 'AP on the held-out images, in percent.', trials,
                   is_sortable=True)]))
    return write_page(folder, 'Methods compared', sections)


def plot_ap(frame: pd.DataFrame, metric: str, name: str, where: str) -> Figure:
    """AP of the rare classes against AP, a point for each row, with the luck of its training.

    The deviation over the seeds is that pooled over all rows, as most have few.

    Args:
        frame: of :func:`~bacl.comparison.comparison_frame`.
        metric: 'AP' or 'fixed_AP'.
        name: of the figure.
        where: what the metric is, for the title.
    """
    chart = go.Figure()
    errors = {key: _standard_errors(frame, key) for key in (metric, f'{metric}r')}
    positions = _name_positions(frame, metric)
    for number, idea in enumerate(sorted(frame['idea'].unique(), key=lambda i: i != 'plain')):
        style = run_style(number)
        for calibrated in (False, True):
            is_shown = (frame['idea'] == idea) & ((frame['calibrator'] != '') == calibrated)
            part = frame[is_shown]
            if part.empty:
                continue
            error_x, error_y = (dict(type='data', array=error[is_shown], thickness=1, width=0,
                                     color=NEUTRAL) for error in errors.values())
            chart.add_trace(go.Scatter(
                x=part[metric], y=part[f'{metric}r'], name=idea + ', calibrated' * calibrated,
                mode='markers' if calibrated else 'markers+text', text=part['row'],
                textposition=positions[is_shown], textfont=dict(color=NEUTRAL, size=10),
                cliponaxis=False,  # names at the right edge
                marker=dict(color=style['color'], size=9,
                            symbol=style['symbol'] + '-open' * calibrated),
                error_x=error_x, error_y=error_y,
                hovertemplate='%{text}<br>AP %{x:.1f}, APr %{y:.1f}<extra></extra>'))
    set_layout(chart, f'{metric.replace("_", " ")} (%)', f'{metric.replace("_", " ")}r (%)',
               height=620)
    columns = ['row', 'idea', 'calibrator', *errors]
    return Figure(name, f'AP of rare classes against AP, {where}',
                  'A point is a row; bars, where there are any, are the standard error of its '
                  'mean over seeds, from their deviation in all rows that have several; the luck '
                  'of the images is not in them. Open symbols are calibrated after training; their '
                  'names are shown on pointing at them.',
                  frame[columns].assign(**{f'{key}_error': error for key, error in errors.items()}),
                  chart)


def _name_positions(frame: pd.DataFrame, metric: str) -> pd.Series:
    """Where the name of each point is: on the side away from the nearest point with a name."""
    points = frame[[metric, f'{metric}r']]
    points = (points / (points.max() - points.min()).replace(0, 1)).to_numpy()
    distances = np.abs(points[:, None] - points).sum(2)
    distances[:, frame['calibrator'] != ''] = np.inf
    np.fill_diagonal(distances, np.inf)
    nearest = np.nan_to_num(distances, nan=np.inf).argmin(1)
    is_above = points[:, 1] >= points[nearest, 1]
    return pd.Series(np.where(is_above, 'top center', 'bottom center'), frame.index)


def _standard_errors(frame: pd.DataFrame, metric: str) -> pd.Series:
    """Of the means over seeds, from the variance pooled over all rows; NaN if no row has two."""
    freedom = (frame['seeds'] - 1).clip(lower=0)
    variance = (freedom * frame[f'{metric}_std'].fillna(0) ** 2).sum() / (freedom.sum() or np.nan)
    return (variance / frame['seeds'].clip(lower=1)) ** 0.5
