"""Is a difference of AP more than the luck of the validation images?"""
from collections.abc import Sequence

import numpy as np
import pandas as pd
from bacl.evaluation.functional.grouped_result import IOU_THRS

from .average_precision import AveragePrecision, group_averages
from .matches import Matches, check_same_data

# Weights of detections in memory at once, of all draws together: 32 MB.
_WEIGHTS_AT_ONCE = 1 << 22
# Equal APs of two runs can differ in their last bits.
_ROUNDING = 1e-12


def paired_bootstrap(matches: dict[str, Matches], num_draws: int = 1000, seed: int = 0,
                     level: float = 0.95, ious: Sequence[float] = IOU_THRS) -> pd.DataFrame:
    """Confidence intervals of AP, and of its difference to the first run, over the images.

    Every draw takes as many images as there are, with replacement; all runs get the same draws, so
    that hard images do not count as a difference. A class without objects in a draw is left out of
    its means. What varies is the data set of the test, not the training: a second training of the
    same config varies, too. An image drawn twice has its objects ranked beside their copies, which
    raises the AP of classes with few objects a little: intervals lie higher than measured values.

    A draw of a run takes about 0.4 s for 20,000 images with 2.1 million labelled detections (of the
    size of LVIS) and 1 to 3 ms for 400 images with 12,000; with AP50 alone, a third of it.

    Args:
        matches: of the runs, by name; differences are to the first.
        num_draws: > 0.
        seed: of the draws.
        level: of the percentile intervals, in (0, 1).
        ious: thresholds that AP is the mean of, some of the ten; fewer take less time.

    Returns:
        One row per run and group ('all' and the groups): ``run``, ``group``, ``ap``, ``ap_low``,
        ``ap_high``, ``difference``, ``low``, ``high``, ``share_not_better`` (of the draws, those
        with a difference <= 0), ``num_draws`` (those in which the group has objects). The
        differences of the first run are NaN.

    Raises:
        ValueError: if the runs were tested on different data, or an argument is out of its range.
    """
    if num_draws < 1:
        raise ValueError(f'paired_bootstrap(num_draws=) expects a positive int, got {num_draws}.')
    if not 0 < level < 1:
        raise ValueError(f'paired_bootstrap(level=) expects a number in (0, 1), got {level}.')
    check_same_data(matches)
    measured, drawn = {}, {}
    for name, run in matches.items():
        measured[name], drawn[name] = drawn_ap(run, num_draws, seed, ious)
    first = next(iter(matches))
    return pd.DataFrame([
        _row(name, group, measured[name][group], drawn[name][group],
             None if name == first else measured[first][group], drawn[first][group], level)
        for name in matches for group in measured[name]])


def drawn_ap(run: Matches, num_draws: int, seed: int = 0, ious: Sequence[float] = IOU_THRS
             ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """AP as measured, and in each draw of the images of a bootstrap.

    Runs that were tested on the same data and have the same seed get the same draws.

    Args:
        run: what was detected.
        num_draws: > 0.
        seed: of the draws.
        ious: thresholds that AP is the mean of.

    Returns:
        AP in [0, 1] of all classes ('all') and of each group, and (num_draws,) of the same.
    """
    precision, rng = AveragePrecision(run, ious=ious), np.random.default_rng(seed)
    at_once = max(1, _WEIGHTS_AT_ONCE // max(len(run), run.num_images))
    parts = [_group_ap(precision, _draw(rng, run.num_images, min(at_once, num_draws - start)), run)
             for start in range(0, num_draws, at_once)]
    measured = _group_ap(precision, np.ones((1, run.num_images)), run)
    return ({group: float(ap[0]) for group, ap in measured.items()},
            {group: np.concatenate([part[group] for part in parts]) for group in measured})


def _draw(rng: np.random.Generator, num_images: int, num_draws: int) -> np.ndarray:
    """Number of times that each image is drawn: (num_draws, I)."""
    return np.stack([np.bincount(rng.integers(0, num_images, num_images), minlength=num_images)
                     for _ in range(num_draws)])


def _group_ap(precision: AveragePrecision, weights: np.ndarray,
              run: Matches) -> dict[str, np.ndarray]:
    return group_averages(precision(weights).mean(axis=1), run)


def _row(name: str, group: str, ap: float, drawn: np.ndarray, base_ap: float | None,
         base_drawn: np.ndarray, level: float) -> dict:
    known = ~np.isnan(drawn)
    row = {'run': name, 'group': group, 'ap': float(ap)}
    row['ap_low'], row['ap_high'] = interval(drawn[known], level)
    row.update(difference=np.nan, low=np.nan, high=np.nan, share_not_better=np.nan)
    if base_ap is not None:
        # A class has objects in a draw or not, whatever the run: NaN at the same places.
        difference = (drawn - base_drawn)[known]
        row['difference'] = float(ap - base_ap)
        row['low'], row['high'] = interval(difference, level)
        if known.any():
            row['share_not_better'] = float((difference <= _ROUNDING).mean())
    return {**row, 'num_draws': int(known.sum())}


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval of drawn values; NaN of none."""
    if not len(values):
        return float('nan'), float('nan')
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
