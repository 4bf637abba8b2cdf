"""A picture of one number per class."""
import numpy as np
from bacl.annotations import ClassTable

from .group_styles import MARKERS, GroupStyles


def draw_classes(values: np.ndarray, classes: ClassTable, ylabel: str) -> np.ndarray:
    """Draw a value of each class against the frequency of the class.

    Args:
        values: (C,).
        classes: with groups; a class without training images stands left of 1.
        ylabel: what the values are.

    Returns:
        (H, W, 3), uint8, RGB.

    Raises:
        ValueError: if there is not one value for each class.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # not at import: it takes long
    from matplotlib.figure import Figure

    if np.shape(values) != (classes.num_classes, ):
        raise ValueError(f'draw_classes(values=) expects one number for each of the '
                         f'{classes.num_classes} classes, got the shape {np.shape(values)}.')
    styles, keys, counts = GroupStyles(classes.groups), classes.group_keys(), classes.image_count
    figure = Figure(figsize=(7, 4), dpi=100, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for key in styles.present(keys):
        chosen, style = keys == key, styles.style(key)
        axes.plot(counts[chosen], values[chosen], MARKERS[style['symbol']], color=style['color'],
                  markersize=4, alpha=0.6, markeredgewidth=0, label=styles.label(key))
    axes.set_xscale('symlog', linthresh=1)
    axes.set_xlim(left=-0.2)
    axes.set(xlabel='training images with the class', ylabel=ylabel)
    axes.grid(alpha=0.3)
    figure.legend(title='classes', loc='outside right upper')
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
