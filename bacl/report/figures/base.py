"""A chart together with the numbers it shows."""
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

__all__ = ['Figure']


@dataclass(frozen=True)
class Figure:
    """A chart, the numbers behind it, and what a reader should know of it.

    Attributes:
        name: of its CSV file and its place in a page, in snake_case, unique in a report.
        title: what is shown, in a few words.
        caption: how it is read and how it was measured, in one to three sentences.
        frame: the numbers, all of them, one row per bar, point or cell; columns have units in their
            names where they have one, as in ``width_px``.
        chart: axes have titles, with units. Colours of paper and text are left to the page.
    """

    name: str
    title: str
    caption: str
    frame: pd.DataFrame
    chart: go.Figure
