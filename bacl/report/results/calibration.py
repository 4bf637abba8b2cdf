"""Calibration: scores beside the share of detections that are right."""
import numpy as np
import pandas as pd

from .average_precision import ALL
from .matches import Matches


def reliability(matches: Matches, num_bins: int = 10, min_score: float = 0.05) -> pd.DataFrame:
    """Precision at IoU 0.5 of detections by their score, for all classes and each group.

    Detections below ``min_score`` are left out: most are, and with them every detector would look
    well calibrated. Unknown and ignored ones, and those above the official cap, are left out, too.
    In LVIS what remains is of classes that annotators looked for, which are right more often than
    others: compare groups and runs rather than reading off the values.

    Args:
        matches: of a run.
        num_bins: of equal width, from ``min_score`` to 1, > 0.
        min_score: smallest score that counts, in [0, 1).

    Returns:
        ``group`` ('all' and the groups), ``bin``, ``score_low``, ``score_high``, ``mean_score``,
        ``precision``, ``count``; NaN for a bin without detections. Scores above 1 are in the last
        bin.

    Raises:
        ValueError: if an argument is out of its range.
    """
    if num_bins < 1:
        raise ValueError(f'reliability(num_bins=) expects a positive int, got {num_bins}.')
    if not 0 <= min_score < 1:
        raise ValueError(f'reliability(min_score=) expects a number in [0, 1), got {min_score}.')
    rows = np.flatnonzero(matches.is_counted & ~matches.ignored[:, 0]
                          & (matches.score >= min_score))
    score, is_right = matches.score[rows], matches.tp[rows, 0]
    edges = np.linspace(min_score, 1, num_bins + 1)
    place = np.clip(np.searchsorted(edges, score, side='right') - 1, 0, num_bins - 1)
    groups = matches.groups[matches.label[rows]]
    frames = []
    for group in (ALL, *matches.group_names):
        chosen = slice(None) if group == ALL else groups == group
        count, score_sum, right = (
            np.bincount(place[chosen], weights, num_bins)
            for weights in (None, score[chosen], is_right[chosen].astype(float)))
        known = np.where(count > 0, count, np.nan)
        frames.append(pd.DataFrame({
            'group': group, 'bin': np.arange(num_bins), 'score_low': edges[:-1],
            'score_high': edges[1:], 'mean_score': score_sum / known, 'precision': right / known,
            'count': count}))
    return pd.concat(frames, ignore_index=True)


def calibration_error(frame: pd.DataFrame) -> pd.DataFrame:
    """Expected calibration error of detections (D-ECE by score alone).

    The mean over detections of the distance between the precision and the mean score of their bin.

    Args:
        frame: of :func:`reliability`.

    Returns:
        ``group``, ``calibration_error`` in [0, 1] (NaN without detections), ``bias`` (mean score
        minus precision over all detections: positive for scores that promise too much), ``count``.

    Reference:
        Küppers et al., "Multivariate Confidence Calibration for Object Detection", CVPRW 2020,
        with the score as the only dimension.
    """
    rows = []
    for group, part in frame.groupby('group', sort=False):
        count = part['count'].sum()
        gap = (part['mean_score'] - part['precision']) * part['count']
        rows.append({'group': group,
                     'calibration_error': gap.abs().sum() / count if count else np.nan,
                     'bias': gap.sum() / count if count else np.nan, 'count': int(count)})
    return pd.DataFrame(rows)
