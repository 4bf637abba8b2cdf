"""The sections of a report: which numbers answer which question, in reading order."""
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
from bacl.annotations import ClassTable
from bacl.engine.probing.training_record import TrainingRecord
from bacl.visualization.group_styles import GroupStyles

from ..classifier import ClassifierState, indicator_frame, norm_frame
from ..diagnosis import (
    Ends,
    confusion,
    costliest_error,
    images_or_styles,
    is_difference_real,
    rank_or_recognition,
)
from ..figures.base import Figure
from ..figures.classifier import (
    plot_indicator_confusions,
    plot_indicator_over_epochs,
    plot_weight_norms,
)
from ..figures.comparison import plot_class_gains, plot_differences, plot_group_ap
from ..figures.dataset import dataset_figures
from ..figures.results import (
    plot_ap_by_cap,
    plot_class_ap,
    plot_confused_pairs,
    plot_error_types,
    plot_fixed_ap,
    plot_reliability,
)
from ..figures.training import training_figures
from ..measures.box_geometry import Pyramid
from ..measures.summary import imbalance_summary
from ..objects import ObjectTable
from ..results import class_gains, comparison_table, confused_pairs_of_matrix
from .classes import class_panels, images_class_table, runs_class_table
from .examples import collect_examples
from .frames import ResultFrames, recall_by_style
from .gallery import draw_gallery
from .inputs import Images, Run, Validation
from .page import Findings, Gallery, Section, Table


def meaning_section(validation: Validation, runs: Sequence[Run], frames: ResultFrames,
                    training: Images | str, figures: Sequence[Figure]) -> Section:
    """What the numbers mean, in five sentences on the last run.

    Args:
        validation: what the runs were tested on.
        runs: at least one.
        frames: of the runs.
        training: what they were trained on, or why that is not known.
        figures: those of the page that the sentences name.
    """
    run, number = runs[-1], len(runs) - 1
    matches, groups = run.matches, validation.classes.groups
    num_objects = matches.num_objects()
    counts = {group.key: int(num_objects[matches.groups == group.key].sum()) for group in groups}
    if not any(counts.values()):
        return Section('meaning', 'What it means', 'Nothing: there are no objects to find.', [])
    ends = Ends.of(groups, counts)
    styles = None if isinstance(training, str) else recall_by_style(
        validation, training, run, ends.tail)
    rank = rank_or_recognition(
        frames.fixed_ap[run.name], frames.ap_by_cap[run.name], ends,
        not matches.is_cap_per_class and matches.max_dets_in_file > matches.max_dets, run.paths,
        matches.is_cap_per_class)
    taken = confusion(frames.confused_pairs[run.name], counts[ends.tail], ends,
                      f'confused_pairs_{number}', run.paths)
    findings = [
        rank,
        costliest_error(frames.error_types[run.name], ends, run.paths, rank.verdict, taken.verdict),
        taken,
        images_or_styles(frames.class_ap[run.name], ends, f'class_ap_{number}', styles),
        is_difference_real(frames.bootstrap, ends, run.paths)]
    titles = {figure.name: figure.title for figure in figures}
    return Section('meaning', 'What it means', (
        f'Of the last run, {run.name}. The sentences are computed by rules, which tools/README.md '
        'explains; each names the figure that shows its numbers.'), [
            Findings('diagnosis', findings, titles)])


def summary_section(validation: Validation, runs: Sequence[Run]) -> Section:
    """AP of every run, and the differences to the first."""
    table = comparison_table({run.name: run.result for run in runs})
    metrics = [column for column in table if f'{column}_difference' in table]
    ap = pd.concat([table[['run']], 100 * table[metrics]], axis=1)
    scope = 'an image' if validation.benchmark == 'LVIS' else 'an image and class'
    blocks = [Table('ap_table', 'AP of every run', (
        f'Boxes, in percent, by the rules of {validation.benchmark}, at most {validation.max_dets} '
        f'detections of {scope}; n/a where no class has objects.'), ap)]
    if len(runs) > 1:
        differences = 100 * table[[f'{metric}_difference' for metric in metrics]].iloc[1:]
        differences.columns = metrics
        blocks.append(Table(
            'ap_table_differences', f'Difference to {runs[0].name}', 'In points of AP.',
            pd.concat([table[['run']].iloc[1:], differences], axis=1), signed=metrics))
    return Section('summary', 'Summary', (
        f'{len(validation.annotations["images"]):,} images and {validation.classes.num_classes:,} '
        f'classes of {validation.ann_file}.'), blocks)


def data_section(images: Images, validation: Validation | None = None,
                 pyramid: Pyramid | None = None) -> Section:
    """The imbalances of the data, before any training."""
    # Groups are those of the results, also where the config of the data says otherwise.
    classes = images.classes if validation is None else validation.classes
    table = ObjectTable.from_annotations(images.annotations, classes, images.ann_file)
    val = None if validation is None else ObjectTable.from_annotations(
        validation.annotations, classes, validation.ann_file)
    summary = Table('imbalance', 'Measures of imbalance', 'By the problem that they measure.',
                    imbalance_summary(table, pyramid), digits=None)
    return Section('data', 'Data', f'What is imbalanced in {images.ann_file}, before any training.',
                   [*dataset_figures(table, val, pyramid), summary])


def training_section(validation: Validation, runs: Sequence[Run]) -> Section:
    """The training: weights, indicators, and the record of a hook."""
    classes = validation.class_table  # rows of a classifier are in the order of labels
    groups = GroupStyles(classes.groups)
    last = {run.name: run.checkpoints[max(run.checkpoints)] for run in runs if run.checkpoints}
    figures = []
    if any(state.norms for state in last.values()):
        figures.append(plot_weight_norms(norm_frame(last, classes), groups))
    figures += plot_indicator_confusions(_confusions_in_training(last, classes), groups)
    for number, run in enumerate(runs):
        figures += _of_run(number, run, plot_indicator_over_epochs(
            indicator_frame(run.checkpoints, classes), groups))
        if run.record is not None:
            figures += _of_run(number, run, training_figures(
                TrainingRecord.load(run.record), classes))
    return Section('training', 'Training', (
        'What training did about the imbalance. Numbers of batches, losses and gradients are there '
        'for runs with the ImbalanceHook (--cfg-options '
        'default_hooks.imbalance.type=ImbalanceHook).'), figures)


def _confusions_in_training(states: Mapping[str, ClassifierState],
                            classes: ClassTable) -> dict[str, pd.DataFrame]:
    """Confused pairs by the indicators that know pairs, of each run, in a cascade of each stage."""
    frames = {}
    for run, state in states.items():
        stages = state.indicators
        for number, indicator in enumerate(stages):
            if indicator.confusion is not None:
                name = f'{run}, stage {number}' if len(stages) > 1 else run
                frames[name] = confused_pairs_of_matrix(
                    indicator.confusion, classes)
    return frames


def _of_run(number: int, run: Run, figures: Sequence[Figure]) -> list[Figure]:
    """The same figures, told apart from those of other runs by their number."""
    return [replace(figure, name=f'{figure.name}_run_{number}', title=f'{run.name}: {figure.title}')
            for figure in figures]


def results_section(validation: Validation, frames: ResultFrames) -> Section:
    """The results: classes that fail, and why."""
    groups = GroupStyles(validation.classes.groups)
    return Section('results', 'Results', 'Which classes fail, and why.', [
        *plot_class_ap(frames.class_ap, groups), plot_ap_by_cap(frames.ap_by_cap, groups),
        plot_fixed_ap(frames.fixed_ap, groups), *plot_error_types(frames.error_types, groups),
        *plot_confused_pairs(frames.confused_pairs, groups),
        plot_reliability(frames.reliability, groups)])


def comparison_section(validation: Validation, runs: Sequence[Run],
                       frames: ResultFrames) -> Section:
    """The comparison of every run with the first."""
    groups = GroupStyles(validation.classes.groups)
    figures = [plot_group_ap(frames.bootstrap, groups)]
    if len(runs) > 1:
        figures += [plot_differences(frames.bootstrap, groups), *plot_class_gains(
            class_gains({run.name: run.matches for run in runs}), groups)]
    return Section('comparison', 'Comparison', (
        'Whether a difference is more than the luck of these images, and which classes make it.'),
        figures)


def gallery_section(validation: Validation, runs: Sequence[Run], num_per_rule: int = 3,
                    seed: int = 0) -> Section:
    """The images that say most, with the detections of the runs."""
    caption = (
        'As many detections are drawn as the image has objects to be found, those with the highest '
        'scores. Solid boxes are right at IoU 0.5, dashed ones wrong. What the evaluation does not '
        'count is left out: classes that are not labelled in an image, crowds and other ignored '
        'objects, and detections of these. Colours are frequency groups. Names without room are '
        'left out or shortened; point at a box to read them.')
    return Section('gallery', 'Pictures', 'Annotations and runs side by side, chosen by rule.', [
        Gallery(caption, draw_gallery(validation, runs, num_per_rule, seed))])


def classes_section(images: Images, runs: Sequence[Run] = ()) -> Section:
    """Every class on its own: of the runs, if there are any, else of the images."""
    table = runs_class_table(images, runs) if runs else images_class_table(images)
    panels = class_panels(table, images, collect_examples(images, runs),
                          runs[-1] if runs else None)
    return Section('classes', 'Classes', 'Every class on its own.', [table, panels])
