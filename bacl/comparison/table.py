"""The table of a comparison: means, spreads, differences with their intervals, and the paper's."""
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from bacl.engine.running.seed_table import COST, Results
from bacl.report.results import interval
from scipy.stats import kendalltau

from .plan import Entry

# Of results, in percent.
METRICS = ('AP', 'APr', 'APc', 'APf', 'exhaustive_AP', 'exhaustive_APr', 'fixed_AP', 'fixed_APr')
_STATISTICS = ('calibration_error', 'state_mb')
_DIFFERENCES = {'AP': 'drawn_all', 'APr': 'drawn_r'}
_NUM_RESAMPLINGS = 10_000

Statistics = Mapping[tuple[str, int], Mapping[str, np.ndarray]]  # by row and seed


def comparison_frame(entries: Sequence[Entry], results: Results, statistics: Statistics,
                     errors: Mapping[tuple[str, int], str], baseline: str,
                     reference: str) -> pd.DataFrame:
    """One row for each entry, the highest AP first, those without a result last.

    Args:
        entries: of the comparison.
        results: of the runs, by row and seed.
        statistics: of the same.
        errors: of failed runs.
        baseline: name of the row that gains are measured against, with an interval.
        reference: name of another one, likewise.

    Returns:
        ``row``, ``method``, ``config``, ``calibrator``, ``idea``, ``plain``, ``settings`` (what
        tuning chose), ``seeds``, ``error`` ('' if no run failed); means and ``_std`` (NaN of one
        seed) of AP and others in percent, calibration error in percent, ``state_mb``,
        ``cpu_seconds``, ``peak_mb``; and ``AP_over_baseline`` with ``_low`` and ``_high`` (95 %
        intervals that hold for all rows together), likewise APr, and both over the reference; NaN
        of the row itself.
    """
    rows = []
    for entry in entries:
        seeds = sorted(seed for name, seed in results if name == entry.name)
        runs = [{**results[entry.name, seed], **{
            name: statistics[entry.name, seed][name].item() for name in _STATISTICS}}
            for seed in seeds]
        method = entry.method
        row = {'row': entry.name, 'method': method.name, 'config': method.config,
               'calibrator': entry.calibrator, 'idea': method.idea, 'plain': method.plain,
               'settings': _chosen(entry), 'seeds': len(seeds),
               'error': '; '.join(f'seed {seed}: {error}' for (name, seed), error
                                  in errors.items() if name == entry.name)}
        for name in (*METRICS, *_STATISTICS, *COST):
            scale = 1 if name in (*COST, 'state_mb') else 100
            values = [np.nan if run.get(name) is None else scale * run[name] for run in runs]
            row[name] = np.mean(values) if values else np.nan
            row[f'{name}_std'] = np.std(values, ddof=1) if len(values) > 1 else np.nan
        rows.append(row)
    frame = pd.DataFrame(rows)
    for title, other in (('baseline', baseline), ('reference', reference)):
        for name, drawn in _DIFFERENCES.items():
            found = _differences(list(frame['row']), other, name, drawn, results, statistics)
            for end, values in zip(('', '_low', '_high'), found, strict=True):
                frame[f'{name}_over_{title}{end}'] = 100 * values
    return frame.sort_values('AP', ascending=False, ignore_index=True)


def _chosen(entry: Entry) -> str:
    return ' '.join(f'{key}={value}' for key, value in entry.settings.items()
                    if not key.endswith(('.ann_file', '.type')))


def _differences(rows: Sequence[str], other: str, name: str, drawn: str, results: Results,
                 statistics: Statistics) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean differences of rows to another, and their intervals; NaN where there is none.

    A draw has the luck of the images, which are drawn with replacement, the same for all rows, and
    the luck of the training. The latter is normal, with the variance over the seeds that is pooled
    over all rows; where no row has several seeds it is not known and left out. Many rows are looked
    at together, so intervals are wide enough that with 95 % all of them hold: of each draw the
    largest deviation of any row counts, in units of its own (max-t).
    """
    found = {}
    for place, row in enumerate(rows):
        seeds = sorted(seed for key, seed in results if key == row and (other, seed) in results)
        if row != other and seeds:
            found[place] = (
                np.array([results[row, seed][name] - results[other, seed][name] for seed in seeds]),
                np.mean([statistics[row, seed][drawn] - statistics[other, seed][drawn]
                         for seed in seeds], axis=0))
    means, low, high = (np.full(len(rows), np.nan) for _ in range(3))
    if not found:
        return means, low, high
    measured = [values for values, _ in found.values()]
    freedom = sum(len(values) - 1 for values in measured)
    variance = sum(((values - values.mean()) ** 2).sum() for values in measured) / max(freedom, 1)
    noise = np.random.default_rng(0).normal(size=(len(found), len(next(iter(found.values()))[1])))
    draws = np.stack([of_images + luck * (variance / len(values)) ** 0.5 for (values, of_images),
                      luck in zip(found.values(), noise, strict=True)])
    deviations = draws - np.nanmean(draws, axis=1, keepdims=True)
    spreads = np.nanstd(deviations, axis=1, keepdims=True)
    units = np.abs(deviations) / np.where(spreads > 0, spreads, 1)
    widths = np.quantile(np.nan_to_num(units).max(axis=0), 0.95) * spreads[:, 0]
    places = list(found)
    means[places] = [values.mean() for values in measured]
    low[places], high[places] = means[places] - widths, means[places] + widths
    return means, low, high


def rank_correlation(ours: Sequence[float], paper: Sequence[float]) -> dict[str, float]:
    """Kendall's tau-b of two columns of the same methods.

    Args:
        ours: AP of at least three methods.
        paper: AP of the same methods in the paper.

    Returns:
        ``tau``, ``low`` and ``high``: a 95 % interval over methods drawn with replacement.

    Raises:
        ValueError: if there are fewer than three.
    """
    if len(ours) < 3:
        raise ValueError('rank_correlation(ours=) expects at least three methods, got '
                         f'{len(ours)}.')
    first, second = np.asarray(ours), np.asarray(paper)
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(first), (_NUM_RESAMPLINGS, len(first)))
    taus = _tau(first[drawn], second[drawn])
    low, high = interval(taus[~np.isnan(taus)])
    return {'tau': kendalltau(first, second)[0], 'low': low, 'high': high}


def _tau(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Tau-b of each row, (B, M) and (B, M); NaN where one has equal values only."""
    one, two = (np.sign(values[:, :, None] - values[:, None]) for values in (first, second))
    with np.errstate(invalid='ignore'):
        return (one * two).sum((1, 2)) / np.sqrt((one ** 2).sum((1, 2)) * (two ** 2).sum((1, 2)))
