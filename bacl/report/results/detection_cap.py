"""AP under other caps on the number of detections: are rare classes crowded out, or not known?"""
from collections.abc import Sequence

import pandas as pd
from bacl.evaluation import GroupedResult

from .average_precision import ALL, average_precision, group_averages
from .matches import Matches

CAPS = (10, 20, 30, 50, 100, 200, 300)


def ap_by_cap(matches: Matches, caps: Sequence[int] = CAPS) -> pd.DataFrame:
    """AP of every group as a function of the largest number of detections of an image.

    The cap is on all classes of an image together, also where the official one is per class. Of the
    caps, those that leave out no detection are not in the result; the last entry is all detections
    that there are, which the test itself may have capped.

    Args:
        matches: of a run.
        caps: > 0.

    Returns:
        ``cap``, ``is_all`` (all that the file holds: ``cap`` is then the largest number of
        detections of an image), ``group`` ('all' and the groups), ``ap`` in [0, 1].
    """
    rows = []
    for cap in [*sorted(c for c in set(caps) if c < matches.max_dets_in_file),
                matches.max_dets_in_file]:
        ap = average_precision(matches, matches.rank < cap).mean(axis=0)
        rows += [{'cap': cap, 'is_all': cap == matches.max_dets_in_file, 'group': group,
                  'ap': float(value)} for group, value in group_averages(ap, matches).items()]
    return pd.DataFrame(rows)


def fixed_ap(result: GroupedResult, fixed: GroupedResult, max_dets_in_file: int) -> pd.DataFrame:
    """'Fixed AP' of every group: no cap on images, one on each class over the whole data set.

    It does not depend on how the scores of different classes compare, only on their order within a
    class. Where the test has capped the detections of an image, as all tests do, it can only undo
    the cap of the evaluation: ``max_dets_in_file`` tells what was left to it.

    Args:
        result: of the evaluation of a run.
        fixed: its evaluation by fixed AP.
        max_dets_in_file: largest number of detections of one image that both had.

    Returns:
        ``group`` ('all' and the groups), ``fixed_ap``, ``ap`` (under the official cap), in [0, 1],
        and ``max_dets_in_file``.

    Reference:
        Dave et al., "Evaluating Large-Vocabulary Object Detectors: The Devil is in the Details",
        arXiv:2102.01066.
    """
    capped, free = result.summary(), fixed.summary()
    return pd.DataFrame([
        {'group': group, 'fixed_ap': free[name], 'ap': capped[name],
         'max_dets_in_file': max_dets_in_file}
        for group, name in ((ALL, 'AP'), *((key, f'AP{key}') for key in result.group_names))])
