"""Runs beside each other: tables of AP and of every class."""
import numpy as np
import pandas as pd
from bacl.evaluation import GroupedResult

from .average_precision import average_precision, threshold_index
from .matches import Matches, check_same_data


def comparison_table(results: dict[str, GroupedResult]) -> pd.DataFrame:
    """AP, AP50, AP75, APs, APm, APl and the AP of each group of several runs.

    Args:
        results: of the evaluation of the runs, by name; differences are to the first.

    Returns:
        One row per run: ``run``, the metrics in [0, 1] and, for each, ``<metric>_difference``,
        which is NaN for the first run. NaN where no class has objects.

    Raises:
        ValueError: if the runs were evaluated on different categories or groups.
    """
    (first, reference), *others = results.items()
    for name, other in others:
        for what, mine, theirs in (
                ('categories', [c['id'] for c in reference.categories],
                 [c['id'] for c in other.categories]),
                ('groups of classes', list(reference.groups), list(other.groups))):
            if mine != theirs:
                raise ValueError(f'Runs {first!r} and {name!r} cannot be compared: their {what} '
                                 'differ. Test both on the same annotation file.')
    base = reference.summary()
    rows = []
    for name, result in results.items():
        metrics = result.summary()
        rows.append({'run': name, **metrics, **{
            f'{metric}_difference': np.nan if name == first else value - base[metric]
            for metric, value in metrics.items()}})
    return pd.DataFrame(rows)


def class_gains(matches: dict[str, Matches]) -> pd.DataFrame:
    """AP of every class in several runs, and what each gained over the first.

    Args:
        matches: of the runs, by name.

    Returns:
        One row per run but the first and per class, by rising category id: ``run``, ``first`` (name
        of the first run), ``category_id``, ``name``, ``group``, ``num_objects``, ``ap_first``,
        ``ap``, ``gain``, ``ap50_first``, ``ap50``; NaN for classes without objects.

    Raises:
        ValueError: if the runs were tested on different data.
    """
    check_same_data(matches)
    aps = {name: average_precision(run) for name, run in matches.items()}
    first, *others = matches
    run, half = matches[first], threshold_index(0.5)
    frames = [pd.DataFrame({
        'run': name, 'first': first, 'category_id': run.category_ids, 'name': run.class_names,
        'group': run.groups, 'num_objects': run.num_objects(),
        'ap_first': aps[first].mean(axis=0), 'ap': aps[name].mean(axis=0),
        'gain': (aps[name] - aps[first]).mean(axis=0),
        'ap50_first': aps[first][half], 'ap50': aps[name][half]}) for name in others]
    columns = ['run', 'first', 'category_id', 'name', 'group', 'num_objects', 'ap_first', 'ap',
               'gain', 'ap50_first', 'ap50']
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
