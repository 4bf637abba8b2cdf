"""Charts that grow trace by trace, and what their series are called."""
from collections.abc import Iterable

import plotly.graph_objects as go

from .layout import set_layout

__all__ = ['SERIES_COLOURS', 'level_names', 'new_chart']

# Of Okabe and Ito's palette, for series that are no frequency groups.
SERIES_COLOURS = ('#0072B2', '#E69F00', '#009E73', '#CC79A7', '#D55E00', '#56B4E9')


def new_chart(x_title: str, y_title: str, **layout) -> go.Figure:
    """A chart without traces; it has a legend once it has more than one.

    Args:
        x_title: with unit.
        y_title: with unit.
        **layout: of plotly's layout, beyond :func:`.layout.set_layout`.
    """
    return set_layout(go.Figure(), x_title, y_title).update_layout(showlegend=None, **layout)


def level_names(strides: Iterable[int]) -> list[str]:
    """Names of the levels of a feature pyramid: P2 has a stride of 4 pixels, P3 of 8."""
    return [f'P{int(stride).bit_length() - 1} (stride {int(stride)})' for stride in strides]
