"""The page of a comparison: AP of the rare classes against AP, and the numbers behind it."""
from pathlib import Path

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
    'calibration_error': 'calibration error', 'cpu_seconds': 'CPU s', 'state_mb': 'state MB',
    'seeds': 'seeds'}


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
    return write_page(folder, 'Methods compared', [
        Section('results', 'Results', 'How methods do on the same frozen detector.', blocks),
        Section('tuning', 'Tuning', 'What was tried for each method, on held-out training images.',
                [Table('trials', 'Trials', 'AP on the held-out images, in percent.', trials,
                       is_sortable=True)])])


def plot_ap(frame: pd.DataFrame, metric: str, name: str, where: str) -> Figure:
    """AP of the rare classes against AP, a point for each row, with deviations over the seeds.

    Args:
        frame: of :func:`~bacl.comparison.comparison_frame`.
        metric: 'AP' or 'fixed_AP'.
        name: of the figure.
        where: what the metric is, for the title.
    """
    chart = go.Figure()
    for number, idea in enumerate(dict.fromkeys(frame['idea'])):
        style = run_style(number + 1)
        for calibrated in (False, True):
            part = frame[(frame['idea'] == idea) & ((frame['calibrator'] != '') == calibrated)]
            if part.empty:
                continue
            chart.add_trace(go.Scatter(
                x=part[metric], y=part[f'{metric}r'], name=idea + ', calibrated' * calibrated,
                mode='markers' if calibrated else 'markers+text',
                text=part['row'], textposition='top center', textfont=dict(color=NEUTRAL, size=10),
                marker=dict(color=style['color'], size=9,
                            symbol=style['symbol'] + '-open' * calibrated),
                error_x=_bars(part[f'{metric}_std']), error_y=_bars(part[f'{metric}r_std']),
                hovertemplate='%{text}<br>AP %{x:.1f}, APr %{y:.1f}<extra></extra>'))
    set_layout(chart, f'{metric.replace("_", " ")} (%)', f'{metric.replace("_", " ")}r (%)',
               height=620)
    columns = ['row', 'idea', 'calibrator', *(f'{metric}{part}' for part in (
        '', '_std', 'r', 'r_std'))]
    return Figure(name, f'AP of rare classes against AP, {where}',
                  'A point is a row; bars are standard deviations over the seeds, where there are '
                  'several. Open symbols are calibrated after training; their names are shown on '
                  'pointing at them.', frame[columns], chart)


def _bars(deviations: pd.Series) -> dict:
    return dict(type='data', array=deviations.fillna(0), thickness=1, width=0, color=NEUTRAL)
