"""Annotation files in LVIS format."""
from collections.abc import Sequence
from os import PathLike

import numpy as np

from .audit import FEDERATED_FIELDS, FREQUENCIES
from .columns import Records
from .use import Use

__all__ = ['FREQUENCIES', 'check_frequencies', 'lvis_use']

ANNOTATION_FIELDS = ('id', 'bbox', 'area')


def lvis_use(**kwargs) -> Use:
    """The needs of a dataset or an evaluation that reads an LVIS file.

    Args:
        **kwargs: of :class:`.use.Use`; for 'evaluation' images need what federated labels are
            made from. Without it an evaluation would still run, but detections of categories that
            were never looked for would count as right or wrong.
    """
    name_field = kwargs.get('name_field')
    federated = FEDERATED_FIELDS if kwargs.get('purpose') == 'evaluation' else ()
    # lvis-api evaluates without names.
    names = () if name_field is None else ('name', )
    return Use('LVIS', ('height', 'width', *([name_field] if name_field else []), *federated),
               ANNOTATION_FIELDS, ('id', *names, 'frequency'), **kwargs)


def check_frequencies(categories: Sequence[dict], ann_file: str | PathLike | None) -> None:
    """Raise a ``ValueError`` that names the first category in none of :data:`FREQUENCIES`."""
    columns = Records(f'Annotation file {ann_file} is not LVIS', 'categories', categories)
    is_bad = np.array([value not in FREQUENCIES for value in columns.column('frequency')])
    columns.check(is_bad, 'frequency', f'one of {FREQUENCIES} is expected')
