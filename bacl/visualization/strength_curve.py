"""A picture of AP against the strength of a method."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from bacl.annotations import FrequencyGroup

from .group_styles import MARKERS, GroupStyles


def draw_strength_curve(path: str | Path, parameter: str, values: Sequence[float],
                        ap: Mapping[str, Sequence[float]], groups: Sequence[FrequencyGroup],
                        chosen: float, plain: Mapping[str, float]) -> None:
    """Draw AP and the AP of each group against a parameter, as a PNG file.

    Args:
        path: of the file.
        parameter: its name.
        values: N, of the parameter.
        ap: N numbers in [0, 1] or NaN of ``'AP'``, over all classes, and of ``'AP' + key`` of each
            group.
        groups: from the rarest.
        chosen: the value that is marked.
        plain: AP without the method, by the same names, drawn as dashed lines.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # not at import: it takes long
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=100, layout='constrained')
    axes = figure.add_subplot()
    styles = GroupStyles(groups)
    lines = [('AP', 'all classes', 'black', 'o')]
    lines += [(f'AP{group.key}', group.label, styles.style(group.key)['color'],
               MARKERS[styles.style(group.key)['symbol']]) for group in groups]
    order = np.argsort(values)
    for key, label, colour, marker in lines:
        if np.isfinite(ap[key]).any():
            axes.plot(np.array(values)[order], 100 * np.array(ap[key])[order], marker=marker,
                      color=colour, markersize=4, label=label)
            axes.axhline(100 * plain[key], color=colour, linestyle='--', linewidth=0.7)
    axes.axvline(chosen, color='grey', linestyle=':')
    axes.set(xlabel=f'{parameter} (dotted: chosen; dashed: without)',
             ylabel='AP on held-out images in %')
    axes.grid(alpha=0.3)
    figure.legend(loc='outside right upper')
    FigureCanvasAgg(figure).print_png(str(path))
