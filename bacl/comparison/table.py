"""The table of a comparison: means, spreads, differences with their intervals, and the paper's."""
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from bacl.engine.running.seed_table import CPU, Results
from bacl.report.results import interval
from scipy.stats import kendalltau, norm, t

from .plan import Entry

# Of results, AP in percent; CPU in seconds.
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
        ``cpu_seconds``; and ``AP_over_baseline`` with ``_low`` and ``_high``
        (95 % interval), likewise APr, and both over the reference; NaN of the row itself.
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
        for name in (*METRICS, *_STATISTICS, CPU):
            scale = 1 if name in (CPU, 'state_mb') else 100
            values = [np.nan if run.get(name) is None else scale * run[name] for run in runs]
            row[name] = np.mean(values) if values else np.nan
            row[f'{name}_std'] = np.std(values, ddof=1) if len(values) > 1 else np.nan
        for title, other in (('baseline', baseline), ('reference', reference)):
            for name, drawn in _DIFFERENCES.items():
                row |= _difference(f'{name}_over_{title}', entry.name, other, name, drawn, results,
                                   statistics)
        rows.append(row)
    return pd.DataFrame(rows).sort_values('AP', ascending=False, ignore_index=True)


def _chosen(entry: Entry) -> str:
    return ' '.join(f'{key}={value}' for key, value in entry.settings.items()
                    if not key.endswith(('.ann_file', '.type')))


def _difference(title: str, row: str, other: str, name: str, drawn: str, results: Results,
                statistics: Statistics) -> dict[str, float]:
    """Mean difference over the seeds of both, and its interval.

    Every draw takes images and seeds with replacement, the same for both rows, so that it has the
    luck of the images and that of the training in it. The latter is widened: S seeds drawn from S
    vary less than new ones would, by the factor sqrt((S - 1) / S), and their spread is itself known
    from few (Student's t instead of the normal distribution). Of one seed only the luck of the
    images is known.
    """
    seeds = sorted(seed for key, seed in results if key == row and (other, seed) in results)
    if row == other or not seeds:
        return {title: np.nan, f'{title}_low': np.nan, f'{title}_high': np.nan}
    measured = [results[row, seed][name] - results[other, seed][name] for seed in seeds]
    draws = np.stack([statistics[row, seed][drawn] - statistics[other, seed][drawn]
                      for seed in seeds])
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, len(seeds), (len(seeds), draws.shape[1]))
    of_images = draws.mean(axis=0)
    of_seeds = np.take_along_axis(draws, chosen, axis=0).mean(axis=0) - of_images
    widened = of_images + of_seeds * _widening(len(seeds))
    low, high = interval(widened[~np.isnan(widened)])
    return {title: 100 * np.mean(measured), f'{title}_low': 100 * low, f'{title}_high': 100 * high}


def _widening(num_seeds: int) -> float:
    if num_seeds == 1:
        return 1.
    return (num_seeds / (num_seeds - 1)) ** 0.5 * t.ppf(0.975, num_seeds - 1) / norm.ppf(0.975)


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
