"""Connects the long-term indicators to the training dataset and to the log."""
from collections.abc import Iterator

import numpy as np
from bacl.models.indicators import LongTermIndicator
from mmdet.registry import HOOKS
from mmengine.runner import Runner

from ..class_checks import check_class_counts, innermost_dataset
from ..runner_state import unwrapped_model
from .scalar_log_hook import ScalarLogHook


def mean_by_frequency(values: np.ndarray, frequency: np.ndarray) -> dict[str, float]:
    """Mean of per-class values for rare, common and frequent classes.

    Args:
        values: (C,).
        frequency: (C,), 'r', 'c' or 'f'.

    Returns:
        One entry per group that has classes.
    """
    return {group: float(values[frequency == group].mean())
            for group in 'rcf' if (frequency == group).any()}


@HOOKS.register_module()
class LongTermIndicatorHook(ScalarLogHook):
    """Checks the indicators against the dataset before training and logs them during it.

    Logged every ``interval`` iterations, as ``indicator/strength_{r,c,f}``: the mean strength (of
    the confusion matrix: the mean of its diagonal) of rare, common and frequent classes, in
    [0, 1]. A balanced classifier has three equal ones. Of several indicators (cascade) each has
    its number in the name. A dataset without ``class_counts()`` gives one mean over all classes.

    Args:
        interval: iterations between two entries, > 0.

    Raises:
        ValueError: before training, if dataset, head, loss and indicator differ in their number
            of classes.
        RuntimeError: before training, if the model has no long-term indicator.
    """

    def before_train(self, runner: Runner) -> None:
        """Find the indicators and the frequency groups; compare the numbers of classes."""
        model, dataset = unwrapped_model(runner), runner.train_dataloader.dataset
        check_class_counts(model, dataset)
        self.indicators = [m for m in model.modules() if isinstance(m, LongTermIndicator)]
        if not self.indicators:
            raise RuntimeError("LongTermIndicatorHook needs a long-term indicator in the model. "
                               "Set loss_cls=dict(type='FCBL', ...) in the bbox_head or remove the "
                               'hook.')
        dataset = innermost_dataset(dataset)
        self.frequency = None
        if hasattr(dataset, 'class_counts'):
            self.frequency = dataset.class_counts().group

    def scalars(self) -> Iterator[tuple[str, float]]:
        """Names and values of the current log entries."""
        for number, indicator in enumerate(self.indicators):
            prefix = f'indicator{number}' if len(self.indicators) > 1 else 'indicator'
            strength = indicator.strength().cpu().numpy()
            if self.frequency is None:
                yield f'{prefix}/strength', float(strength.mean())
                continue
            for group, mean in mean_by_frequency(strength, self.frequency).items():
                yield f'{prefix}/strength_{group}', mean
