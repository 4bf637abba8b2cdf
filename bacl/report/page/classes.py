"""The table of all classes, and what a reader sees of one."""
from collections.abc import Mapping, Sequence

import pandas as pd

from ..results import Matches, average_precision, confused_pairs
from .examples import Example
from .inputs import Images, Run, Validation
from .page import ClassDetails, ClassPanels, Confusion, Table, class_address

NUM_CONFUSIONS = 5  # of a class, each way


def images_class_table(images: Images) -> Table:
    """Table of how often each class occurs, here and, if that differs, in the training set.

    A validation file or a part of a training file may store the counts of the whole training set.
    """
    here, training = _counts_here(images), _counts_in_training(images)
    parts = [_names(images), here]
    if (here.to_numpy() != training.to_numpy()).any():
        parts.append(training)
    return _table(pd.concat(parts, axis=1), images, 'Every class, by id; crowds are objects, too. '
                                                    'Click one to see its objects.')


def runs_class_table(validation: Validation, runs: Sequence[Run]) -> Table:
    """AP of each class in each run, beside how often it occurs."""
    frame = pd.concat([_names(validation), _counts_in_training(validation)], axis=1)
    frame['objects here'] = runs[0].matches.num_objects()
    ap = {run.name: 100 * average_precision(run.matches).mean(axis=0) for run in runs}
    frame = frame.assign(**{f'AP {name}': values for name, values in ap.items()})
    gain = f'{runs[-1].name} - {runs[0].name}'
    if len(runs) > 1:
        frame[gain] = ap[runs[-1].name] - ap[runs[0].name]
    return _table(frame, validation, (
        'Every class, by id; AP in percent, n/a for a class without objects '
        'here. Click one to see its objects and what they are taken for.'), [gain])


def _names(images: Images) -> pd.DataFrame:
    return pd.DataFrame({'class': images.classes.names, 'group': images.classes.group_keys()})


def _counts_here(images: Images) -> pd.DataFrame:
    """Images and annotations of each class, counted."""
    images_of = {category_id: [] for category_id in images.category_ids}
    for annotation in images.annotations['annotations']:
        images_of[annotation['category_id']].append(annotation['image_id'])
    return pd.DataFrame({'images here': [len(set(ids)) for ids in images_of.values()],
                         'objects here': [len(ids) for ids in images_of.values()]})


def _counts_in_training(images: Images) -> pd.DataFrame:
    return pd.DataFrame({'training images': images.classes.image_count,
                         'training objects': images.classes.instance_count})


def _table(frame: pd.DataFrame, images: Images, caption: str, signed: Sequence[str] = ()) -> Table:
    links = {'class': [class_address(category_id) for category_id in images.category_ids]}
    return Table('classes_table', 'All classes', caption, frame, signed=signed, links=links,
                 is_sortable=True, groups=images.classes.groups)


def class_panels(table: Table, images: Images, examples: Mapping[int, Sequence[Example]],
                 run: Run | None = None) -> ClassPanels:
    """The panels that open when a class is clicked.

    Args:
        table: of the classes; its numbers are repeated here.
        images: for the names.
        examples: per category id.
        run: whose confusions are shown, if there is one.
    """
    taken_for, taken_from = _confusions(run.matches) if run else ({}, {})
    panels = []
    for category_id, name, group, cells in zip(
            images.category_ids, images.classes.names, images.classes.group.tolist(),
            table.cells(), strict=True):
        confusions = {} if run is None else {
            f'In {run.name}, its objects are taken for': taken_for.get(name, []),
            'Objects that are taken for it': taken_from.get(name, [])}
        facts = {column: cell.text for column, cell in zip(table.frame, cells, strict=True)
                 if column not in ('class', 'group')}
        panels.append(ClassDetails(category_id, name, group, facts,
                                   examples.get(category_id, ()), confusions))
    return ClassPanels(panels)


def _confusions(matches: Matches) -> tuple[dict[str, list[Confusion]], ...]:
    """Per class the ones it is taken for, and the ones that are taken for it."""
    pairs = confused_pairs(matches)
    pairs = pairs[pairs['num_outscored'] > 0]
    ids = dict(zip(matches.class_names, matches.category_ids.tolist(), strict=True))
    result = []
    for mine, theirs in (('true', 'predicted'), ('predicted', 'true')):
        result.append({
            name: [Confusion(other, ids[other], int(count)) for other, count in zip(
                rows[theirs].head(NUM_CONFUSIONS), rows['num_outscored'], strict=False)]
            for name, rows in pairs.groupby(mine, sort=False)})
    return tuple(result)
