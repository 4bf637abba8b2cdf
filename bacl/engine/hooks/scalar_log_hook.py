"""Base of the hooks that log something of the model now and then."""
from abc import ABC, abstractmethod
from collections.abc import Iterator

from mmengine.hooks import Hook
from mmengine.runner import Runner


class ScalarLogHook(Hook, ABC):
    """Puts scalars into mmengine's log, which prints them and hands them to the visualizer.

    Args:
        interval: iterations of an epoch between two entries, > 0; the logger's own suits.

    Raises:
        ValueError: if ``interval`` is not positive.
    """

    def __init__(self, interval: int = 50) -> None:
        if interval < 1:
            raise ValueError(f'{type(self).__name__}(interval=) expects a number of iterations '
                             f'> 0, got {interval}.')
        self.interval = interval

    @abstractmethod
    def scalars(self) -> Iterator[tuple[str, float]]:
        """Names and values of the current entries."""

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None,
                         outputs=None) -> None:
        """Log at the interval."""
        if self.every_n_inner_iters(batch_idx, self.interval):
            for name, value in self.scalars():
                runner.message_hub.update_scalar(f'train/{name}', value)
