"""One self-contained HTML page of charts, tables and pictures.

Everything that the page needs is inside it: plotly draws the charts, DataTables (of itables) sorts
and searches the tables, and Jinja2 escapes every text, because class names are the data's.
"""
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jinja2
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from bacl.annotations import FrequencyGroup
from bacl.visualization.group_styles import GroupStyles
from itables.options import dt_bundle
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from ..diagnosis import Finding
from ..figures.base import Figure
from ..figures.layout import stacked
from .examples import Example
from .pictures import Picture

INDEX = 'index.html'
CSV_FOLDER = 'csv'  # beside the page


@dataclass(frozen=True)
class Table:
    """Numbers to read, with a CSV of them.

    Attributes:
        name: of its CSV file, unique in a report.
        title: what is shown.
        caption: how it is read.
        frame: the numbers, as in the CSV; a column 'group' has keys of ``groups``.
        digits: after the point, of floats; None is up to three of them.
        signed: columns whose numbers are differences.
        links: per column the addresses that its cells lead to.
        is_sortable: whether readers can sort, search and page through it.
        groups: those of the page, for a column 'group'.
    """

    kind: ClassVar[str] = 'table'
    name: str
    title: str
    caption: str
    frame: pd.DataFrame
    digits: int | None = 1
    signed: Sequence[str] = ()
    links: dict[str, Sequence[str]] | None = None
    is_sortable: bool = False
    groups: Sequence[FrequencyGroup] = ()

    def cells(self) -> list[list['Cell']]:
        """The rows, as shown."""
        columns = [self._column(name) for name in self.frame.columns]
        return [list(row) for row in zip(*columns, strict=True)]

    def headings(self) -> list[tuple[str, bool]]:
        """Name of each column, and whether numbers are in it."""
        return [(name, pd.api.types.is_numeric_dtype(self.frame[name])) for name in self.frame]

    def _column(self, name: str) -> list['Cell']:
        values = self.frame[name].tolist()
        if name == 'group':
            styles = GroupStyles(self.groups)
            return [Cell(styles.label(key), None, None, styles.position(key)) for key in values]
        links = (self.links or {}).get(name, [None] * len(values))
        return [Cell(self._text(name, value), _rank(value), link, None)
                for value, link in zip(values, links, strict=True)]

    def _text(self, name: str, value: Any) -> str:
        if pd.isna(value):
            return 'n/a'
        if isinstance(value, float) and self.digits is None:
            return f'{value:,.3f}'.rstrip('0').rstrip('.')
        if isinstance(value, float):
            return f'{value:{"+" if name in self.signed else ""}.{self.digits}f}'
        return f'{value:,}' if isinstance(value, int) and not isinstance(value, bool) \
            else str(value)


@dataclass(frozen=True)
class Cell:
    """Text of a cell, what it is sorted by if it is a number, its link, rank of its group."""

    text: str
    rank: float | None
    link: str | None
    group: int | None


@dataclass(frozen=True)
class Gallery:
    """Pictures, each with several looks at it."""

    kind: ClassVar[str] = 'gallery'
    caption: str
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Confusion:
    """Another class, and how often the two were taken for each other."""

    name: str
    category_id: int
    count: int


@dataclass(frozen=True)
class ClassDetails:
    """A class, as a reader who opens it sees it.

    Attributes:
        category_id: of the class; part of its address in the page.
        name: of the class.
        group: rank of its frequency group.
        facts: numbers, by what they are.
        examples: objects of it.
        confusions: per heading other classes.
    """

    category_id: int
    name: str
    group: int
    facts: dict[str, str]
    examples: Sequence[Example]
    confusions: dict[str, Sequence[Confusion]]


@dataclass(frozen=True)
class ClassPanels:
    """Details of all classes, of which one is shown at a time: the one in the page's address."""

    kind: ClassVar[str] = 'classes'
    classes: Sequence[ClassDetails]


@dataclass(frozen=True)
class Findings:
    """Sentences on what the numbers mean, with a CSV of them.

    Attributes:
        name: of its CSV file.
        findings: in reading order.
        titles: of the figures that they name.
    """

    kind: ClassVar[str] = 'findings'
    name: str
    findings: Sequence[Finding]
    titles: Mapping[str, str]

    @property
    def frame(self) -> pd.DataFrame:
        """What the CSV holds."""
        return pd.DataFrame([vars(finding) for finding in self.findings])


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        name: its address in the page.
        title: heading.
        text: what it answers, in one or two sentences.
        blocks: in reading order.
    """

    name: str
    title: str
    text: str
    blocks: Sequence[Figure | Table | Gallery | ClassPanels | Findings]


def class_address(category_id: int) -> str:
    """The link to a class in the page."""
    return f'#class-{category_id}'


def write_page(folder: str | Path, title: str, sections: Sequence[Section],
               groups: Sequence[FrequencyGroup] = ()) -> Path:
    """Write a page, and the numbers behind it as CSV files.

    A page that was there is replaced, and those of its CSV files that the new one has not are
    removed. Nothing else in the folder is touched.

    Args:
        folder: gets ``index.html`` and ``csv/``; made if there is none.
        title: of the page.
        sections: in reading order.
        groups: of the classes, from the rarest.

    Returns:
        The page.

    Raises:
        ValueError: if two figures or tables have the same name.
        OSError: if the folder cannot be written to.
    """
    folder = Path(folder)
    path = folder / INDEX
    earlier = _csv_names(path)
    _write_csv(folder / CSV_FOLDER, [
        block for section in sections for block in section.blocks if hasattr(block, 'frame')])
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters['breakable'] = _breakable
    environment.tests['figure'] = lambda block: isinstance(block, Figure)
    bundle = Path(dt_bundle)
    page = environment.get_template('page.html').render(
        title=title, sections=sections, csv_folder=CSV_FOLDER, charts=_charts_json, zip=zip,
        class_address=class_address, groups=groups, colours=GroupStyles(groups).colours,
        plotly_js=get_plotlyjs(), tables_css=bundle.with_suffix('.css').read_text('utf-8'),
        tables_js=b64encode(bundle.read_bytes()).decode())
    path.write_text(page, encoding='utf-8')
    for name in earlier - _csv_names(path):
        (folder / CSV_FOLDER / f'{name}.csv').unlink(missing_ok=True)
    return path


def _csv_names(page: Path) -> set[str]:
    """Names of the CSV files of a page that this module wrote; none for another page."""
    text = page.read_text('utf-8', errors='replace') if page.is_file() else ''
    return set(re.findall(rf'<a class="csv" href="{CSV_FOLDER}/(\w+)\.csv">', text))


def _write_csv(folder: Path, blocks: Sequence[Figure | Table | Findings]) -> None:
    names = [block.name for block in blocks]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ValueError(f'write_page(sections=) expects figures and tables of different names, '
                         f'got {sorted(repeated)} more than once.')
    folder.mkdir(parents=True, exist_ok=True)
    for block in blocks:
        block.frame.to_csv(folder / f'{block.name}.csv', index=False)


def _charts_json(figure: Figure) -> str:
    """The chart for plotly.js, and its layout for narrow screens if that is another.

    As JSON that cannot end the script that it stands in.
    """
    layout = stacked(figure.chart)
    narrow = 'null' if layout is None else go.Figure(layout=layout).to_json(validate=False)
    text = f'{{"wide": {figure.chart.to_json(validate=False)}, "narrow": {narrow}}}'
    return text.replace('<', '\\u003c')


def _breakable(text: str) -> Markup:
    """A name as HTML that may be broken after an underscore, as after a space."""
    return escape(text).replace('_', Markup('_<wbr>'))


def _rank(value: Any) -> float | None:
    """The number that a cell is sorted by; one that is not known is less than all."""
    if isinstance(value, int | float | np.number):
        return -1e9 if pd.isna(value) else float(value)
    return None
