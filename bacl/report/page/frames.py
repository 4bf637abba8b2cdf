"""The results of runs in numbers, computed once for the sections that show or read them."""
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ..results import (
    StyleRecall,
    ap_by_cap,
    class_ap_frame,
    confused_pairs,
    error_types,
    fixed_ap,
    paired_bootstrap,
    reliability,
    style_recall,
)
from .inputs import Images, Run, Validation

NUM_DRAWS = 1000  # of the bootstrap

Frames = dict[str, pd.DataFrame]  # by the name of a run


@dataclass(frozen=True)
class ResultFrames:
    """Frames of :mod:`bacl.report.results`.

    Attributes:
        class_ap: AP of every class.
        ap_by_cap: AP of every group under several caps.
        fixed_ap: AP of every group without a cap on images.
        error_types: cost of each type of error.
        confused_pairs: classes that are taken for another.
        reliability: precision by score.
        bootstrap: intervals of AP and of its differences, of all runs.
    """

    class_ap: Frames
    ap_by_cap: Frames
    fixed_ap: Frames
    error_types: Frames
    confused_pairs: Frames
    reliability: Frames
    bootstrap: pd.DataFrame

    @classmethod
    def of(cls, validation: Validation, runs: Sequence[Run],
           num_draws: int = NUM_DRAWS) -> 'ResultFrames':
        """Compute all.

        Args:
            validation: what the runs were tested on.
            runs: at least one.
            num_draws: of the bootstrap.
        """
        classes, matches = validation.classes, {run.name: run.matches for run in runs}
        return cls(
            {name: class_ap_frame(run, classes.image_count, classes.instance_count)
             for name, run in matches.items()},
            {name: ap_by_cap(run) for name, run in matches.items()},
            {run.name: fixed_ap(run.result, run.fixed, run.matches.max_dets_in_file)
             for run in runs},
            *({name: measure(run) for name, run in matches.items()}
              for measure in (error_types, confused_pairs, reliability)),
            paired_bootstrap(matches, num_draws))


def recall_by_style(validation: Validation, training: Images, run: Run,
                    group: str) -> StyleRecall | None:
    """The :class:`..results.StyleRecall` of a group; None if not all annotations have a 'style'."""
    # As the evaluation of LVIS, which has no objects without area.
    objects = [annotation for annotation in validation.annotations['annotations']
               if validation.benchmark != 'LVIS' or annotation['area'] > 0]
    trained = training.annotations['annotations']
    if not all('style' in annotation for part in (objects, trained) for annotation in part):
        return None
    label = {category_id: place for place, category_id in enumerate(training.category_ids)}
    return style_recall(
        run.matches, [annotation['style'] for annotation in objects],
        {(label[annotation['category_id']], annotation['style']) for annotation in trained}, group)
