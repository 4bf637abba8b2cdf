"""The table of all classes, and what a reader sees of one."""
from collections.abc import Mapping, Sequence

import pandas as pd

from ..results import Matches, average_precision, confused_pairs
from .examples import Example
from .inputs import Images, Run, Validation
from .page import ClassDetails, ClassPanels, Confusion, Table, class_address

NUM_CONFUSIONS = 5  # of a class, each way


def images_class_table(images: Images) -> Table:
    """How often each class occurs."""
    frame = images.classes.reset_index(drop=True)[
        ['name', 'group', 'train_images', 'train_instances']]
    frame.columns = ['class', 'group', 'images', 'objects']
    return _table(frame, images, 'Every class, in the order of the file. Click one to see its '
                                 'objects.')


def runs_class_table(validation: Validation, runs: Sequence[Run]) -> Table:
    """AP of each class in each run, beside how often it occurs."""
    frame = images_class_table(validation).frame.rename(
        columns={'images': 'training images', 'objects': 'training objects'})
    frame['objects here'] = runs[0].matches.num_objects()
    ap = {run.name: 100 * average_precision(run.matches).mean(axis=0) for run in runs}
    frame = frame.assign(**{f'AP {name}': values for name, values in ap.items()})
    gain = f'{runs[-1].name} - {runs[0].name}'
    if len(runs) > 1:
        frame[gain] = ap[runs[-1].name] - ap[runs[0].name]
    return _table(frame, validation, (
        'Every class, in the order of the file; AP in percent, n/a for a class without objects '
        'here. Click one to see its objects and what they are taken for.'), [gain])


def _table(frame: pd.DataFrame, images: Images, caption: str, signed: Sequence[str] = ()) -> Table:
    links = {'class': [class_address(category_id) for category_id in images.classes.index]}
    return Table('classes_table', 'All classes', caption, frame, signed=signed, links=links,
                 is_sortable=True)


def class_panels(table: Table, images: Images, examples: Mapping[int, Sequence[Example]],
                 run: Run | None = None) -> ClassPanels:
    """What opens when a class is clicked.

    Args:
        table: of the classes; its numbers are repeated here.
        images: for the names.
        examples: per category id.
        run: whose confusions are shown, if there is one.
    """
    taken_for, taken_from = _confusions(run.matches) if run else ({}, {})
    panels = []
    for category_id, row, cells in zip(images.classes.index.tolist(),
                                       images.classes.itertuples(), table.cells(), strict=True):
        confusions = {} if run is None else {
            f'In {run.name}, its objects are taken for': taken_for.get(row.name, []),
            'Objects that are taken for it': taken_from.get(row.name, [])}
        facts = {column: cell.text for column, cell in zip(table.frame, cells, strict=True)
                 if column not in ('class', 'group')}
        panels.append(ClassDetails(category_id, row.name, row.group, facts,
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
