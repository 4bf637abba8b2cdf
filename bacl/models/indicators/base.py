"""The interface of long-term indicators: for the loss, for augmenters, for the log."""
from abc import ABC, abstractmethod

from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from torch import Tensor, nn

# Floor of a statistic in [0, 1], of which 0 would make the log-ratio of Eq. (7) infinite. With it a
# margin stays within alpha * log(1000).
MIN_SCORE = 1e-3


class LongTermIndicator(nn.Module, ABC):
    """Knowledge of the classifier's inclination towards each class, from training so far.

    An indicator assigns a strength to every class (Table II). Its state lives in buffers: it is
    part of the checkpoint, and it is equal on all ranks because :meth:`observe` sums over them.
    It knows neither runner nor dataset. Samples are all that the loss gets: sampled RoIs and
    hallucinated features.

    Shapes: N samples, C foreground classes. Labels are int64 in [0, C]; C is background.

    Args:
        num_classes: C, > 0.

    Raises:
        ValueError: if ``num_classes`` is not a positive integer.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Section III-C and Table II.
    """

    starts_empty = True  # a checkpoint of stage 1 has no indicator

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        if not isinstance(num_classes, int) or num_classes < 1:
            raise ValueError(f'{type(self).__name__}(num_classes=) expects a positive int, '
                             f'got {num_classes!r}.')
        self.num_classes = num_classes

    def scalars(self) -> dict[str, Tensor]:
        """``indicator/strength``: (C,), for the log; a balanced classifier has equal ones."""
        return {'indicator/strength': self.strength()}

    @abstractmethod
    def observe(self, logits: Tensor, labels: Tensor) -> None:
        """Take one batch of classified samples into account.

        A collective operation: every rank calls it in every step, also with zero foreground
        samples or zero samples, or the job hangs.

        Args:
            logits: (N, C + 1), detached here.
            labels: (N,), int64 in [0, C]; background samples change nothing.
        """

    @abstractmethod
    def value(self) -> Tensor:
        """The statistic as Table II defines it: (C,) or (C, C)."""

    @abstractmethod
    def log_ratio(self, labels: Tensor) -> Tensor:
        """Lead of each class over the true one: log(l_j / l_i) of Eq. (7).

        Args:
            labels: (N,), int64 in [0, C): the true class i of each sample.

        Returns:
            (N, C), entry [n, j] is log(l_j / l_i) with i = labels[n]; zero where j = i. Positive
            where class j dominates the true class. No gradient.
        """

    @abstractmethod
    def strength(self) -> Tensor:
        """(C,), in [0, 1]: l_i of Eq. (12); a class with strength 1 needs no hallucination."""

    @abstractmethod
    def reset(self) -> None:
        """Forget everything observed: back to the initial value."""


def build_indicator(cfg: ConfigType, num_classes: int, owner: str) -> LongTermIndicator:
    """Build a long-term indicator.

    Args:
        cfg: its config, without ``num_classes``.
        num_classes: C.
        owner: name of the class that has the argument ``indicator``, for the message.

    Raises:
        TypeError: if the config describes something else.
    """
    indicator = MODELS.build(cfg, default_args=dict(num_classes=num_classes))
    if not isinstance(indicator, LongTermIndicator):
        raise TypeError(f'{owner}(indicator=) expects a long-term indicator such as '
                        f"dict(type='ConfusionMatrix'), got {type(indicator).__name__}.")
    return indicator
