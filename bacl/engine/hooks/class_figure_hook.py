"""Pictures of the classifier and the indicators while training goes on."""
import logging
from collections.abc import Iterator

import numpy as np
from bacl.annotations import ClassTable
from bacl.visualization.class_picture import draw_classes
from mmdet.registry import HOOKS
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from ..checking.class_checks import innermost_dataset
from ..probing.class_values import classifier_norms, strengths
from ..running.runner_state import unwrapped_model


@HOOKS.register_module()
class ClassFigureHook(Hook):
    """Shows every few epochs how classes of different frequency fare, in the visualizer's backends.

    Pictures, one per stage of a cascade (whose number then ends the name):

    - ``classifier_weight_norms``: norm of the classifier's weights of each class (Fig. 5 of the
      paper), if it is one linear layer,
    - ``indicator_strength``: what each module with a method ``strength()`` says of each class, as
      the long-term indicators have it.

    The dataset has to know its ``class_table()``, with frequency groups, as those of this package;
    of another dataset nothing is drawn. A picture that fails is told once and left out: training
    goes on. Only the main process draws, a fraction of a second per picture.

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
        self._failed: set[str] = set()

    @master_only
    def after_train_epoch(self, runner: Runner) -> None:
        """Draw."""
        if not self.every_n_epochs(runner, self.interval):
            return
        # No slash in the names: mmengine's local backend makes files of them.
        for name, draw in (('classifier_weight_norms', self._draw_norms),
                           ('indicator_strength', self._draw_strengths)):
            try:
                classes = self._classes(runner)
                pictures = list(draw(runner, classes)) if classes is not None else []
                for stage, picture in enumerate(pictures):
                    runner.visualizer.add_image(f'{name}{stage}' if len(pictures) > 1 else name,
                                                picture, step=runner.epoch + 1)
            except Exception as error:  # whatever it is: hours of training are worth more
                self._tell(name, error)

    @staticmethod
    def _classes(runner: Runner) -> ClassTable | None:
        """The classes of the dataset, if it knows their frequency groups."""
        dataset = innermost_dataset(runner.train_dataloader.dataset)
        classes = dataset.class_table() if hasattr(dataset, 'class_table') else None
        return classes if classes is not None and classes.groups else None

    @staticmethod
    def _draw_norms(runner: Runner, classes: ClassTable) -> Iterator[np.ndarray]:
        for norms in classifier_norms(unwrapped_model(runner), classes.num_classes):
            yield draw_classes(norms, classes, 'norm of the classifier weights')

    @staticmethod
    def _draw_strengths(runner: Runner, classes: ClassTable) -> Iterator[np.ndarray]:
        for strength in strengths(unwrapped_model(runner)):
            yield draw_classes(strength, classes, 'strength of the indicator (0 to 1)')

    def _tell(self, name: str, error: Exception) -> None:
        if name not in self._failed:
            self._failed.add(name)
            print_log(f'ClassFigureHook leaves out the picture {name}: {type(error).__name__}: '
                      f'{error}', logger='current', level=logging.WARNING)
