"""Pictures of the classifier and the indicators while training goes on."""
import logging

import numpy as np
from bacl.analysis.classifier import classifier_norms, indicator_states
from bacl.analysis.groups import GROUP_COLOURS, GROUP_NAMES
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mmdet.registry import HOOKS
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from ..checking.class_checks import innermost_dataset
from ..running.runner_state import unwrapped_model

# matplotlib's names for the symbols of plotly in bacl.analysis.groups.
MARKERS = {'r': 'D', 'c': 's', 'f': 'o', '1': 'D', '2': 's', '3': 'o', '4': 'P'}


def draw_classes(values: np.ndarray, counts: np.ndarray, groups: np.ndarray,
                 ylabel: str) -> np.ndarray:
    """Draw a value of each class against the frequency of the class.

    Args:
        values: (C,).
        counts: (C,), training images with the class; classes without any stand left of 1.
        groups: (C,), keys of :data:`~bacl.analysis.groups.GROUP_NAMES`.
        ylabel: what the values are.

    Returns:
        (H, W, 3), uint8, RGB.
    """
    figure = Figure(figsize=(7, 4), dpi=100, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for group in dict.fromkeys(groups[np.argsort(counts, kind='stable')]):
        chosen = groups == group
        axes.plot(counts[chosen], values[chosen], MARKERS[group], color=GROUP_COLOURS[group],
                  markersize=4, alpha=0.6, markeredgewidth=0, label=GROUP_NAMES[group])
    axes.set_xscale('symlog', linthresh=1)
    axes.set_xlim(left=-0.2)
    axes.set(xlabel='training images with the class', ylabel=ylabel)
    axes.grid(alpha=0.3)
    figure.legend(title='classes', loc='outside right upper')
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


@HOOKS.register_module()
class ClassFigureHook(Hook):
    """Shows every few epochs how classes of different frequency fare, in the visualizer's backends.

    Pictures, one per stage of a cascade (whose number then ends the name):

    - ``classifier_weight_norms``: norm of the classifier's weights of each class (Fig. 5 of the
      paper),
    - ``indicator_strength``: what the long-term indicator says of each class, if there is one.

    The dataset has to know its ``class_table()``, with frequency groups, as those of this package;
    of another dataset nothing is drawn, nor, with a warning, of a model whose classifier or
    indicator is none that is known here. Only the main process draws, a fraction of a second per
    picture.

    Args:
        interval: epochs between two pictures, > 0.

    Raises:
        ValueError: if ``interval`` is not positive.
    """

    # After the indicators have got their counts.
    priority = 'LOW'

    def __init__(self, interval: int = 1) -> None:
        if interval < 1:
            raise ValueError(f'ClassFigureHook(interval=) expects a number of epochs > 0, got '
                             f'{interval}.')
        self.interval = interval

    def before_train(self, runner: Runner) -> None:
        """Ask the dataset for its counts."""
        dataset = innermost_dataset(runner.train_dataloader.dataset)
        counts = dataset.class_table() if hasattr(dataset, 'class_table') else None
        self.counts = counts if counts is not None and counts.groups else None
        try:
            if self.counts is not None:
                self._values(runner)
        except ValueError as error:
            self.counts = None
            print_log(f'ClassFigureHook draws nothing: {error}', logger='current',
                      level=logging.WARNING)

    @master_only
    def after_train_epoch(self, runner: Runner) -> None:
        """Draw."""
        if self.counts is None or not self.every_n_epochs(runner, self.interval):
            return
        groups = self.counts.group_keys()
        for name, (ylabel, stages) in self._values(runner).items():
            for stage, values in enumerate(stages):
                picture = draw_classes(values, np.asarray(self.counts.image_count), groups, ylabel)
                runner.visualizer.add_image(f'{name}{stage}' if len(stages) > 1 else name, picture,
                                            step=runner.epoch + 1)

    def _values(self, runner: Runner) -> dict[str, tuple[str, list[np.ndarray]]]:
        """By the name of the picture: what the values are, and those of each stage, (C,)."""
        state = unwrapped_model(runner).state_dict()
        # No slash in the names: mmengine's local backend makes files of them.
        return {'classifier_weight_norms': ('norm of the classifier weights', classifier_norms(
                    state, len(self.counts.image_count))),
                'indicator_strength': ('strength of the indicator (0 to 1)',
                                       [i.strength for i in indicator_states(state)])}
