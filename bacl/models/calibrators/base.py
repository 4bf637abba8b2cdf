"""The interface of calibrators, and the one that changes nothing."""
from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import isfinite
from numbers import Real
from typing import Any

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn


def check_strength(name: str, value: float, is_positive: bool = False) -> None:
    """Refuse a strength that is not a finite number >= 0, or > 0.

    Args:
        name: as messages call it, ``'NorCal(gamma=)'``.
        value: of it.
        is_positive: whether 0 is refused, too.

    Raises:
        ValueError: naming it.
    """
    if not (isinstance(value, Real) and isfinite(value) and value >= 0) \
            or is_positive and value == 0:
        raise ValueError(f'{name} expects a finite number >{"" if is_positive else "="} 0, got '
                         f'{value!r}.')


class Strength:
    """An attribute of a calibrator that is a finite number >= 0, whoever sets it.

    Raises:
        ValueError: when it is set to something else.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        """Remember the name of the attribute."""
        self.name = name

    def __get__(self, calibrator: 'Calibrator | None', owner: type) -> Any:
        """The number."""
        return self if calibrator is None else calibrator.__dict__[self.name]

    def __set__(self, calibrator: 'Calibrator', value: float) -> None:
        """Check and keep the number."""
        check_strength(f'{type(calibrator).__name__}({self.name}=)', value)
        calibrator.__dict__[self.name] = value


class Calibrator(nn.Module, ABC):
    """A function of the scores of all RoIs of an image, between the classifier and the NMS.

    ``test_cfg.rcnn.calibrator=dict(type=...)`` puts one into any RoI head of this package; training
    does not use it. One that needs class counts says so by a method ``set_class_counts`` and keeps
    them in a buffer: it gets them before a training
    (:class:`~bacl.engine.hooks.MethodHook`), and a test takes them from the checkpoint, which is
    refused without. Those of this package also take them from the config, and then no checkpoint
    needs to have them.

    Args:
        num_classes: C, > 0.

    Attributes:
        uses_logits: whether it changes logits, which the head then activates, instead of scores;
            see :class:`LogitCalibrator`.
        activation: 'softmax' or 'sigmoid' if it is for scores of that kind only: those whose rows
            sum to one, or those whose rows do not. Any other head is refused when it is built.
        default_sweep: values of a parameter that ``tools/calibrate.py`` tries if it is not told
            any; None of one that has no parameter to choose.
    """

    starts_empty = True  # a checkpoint of stage 1 may come from a training without it
    uses_logits = False
    activation: str | None = None
    default_sweep: str | None = None

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    @abstractmethod
    def forward(self, scores: Tensor) -> Tensor:
        """Calibrate the scores of one image.

        Args:
            scores: (R, C + 1), in [0, 1], background last, as the loss's ``get_activation`` or
                mmdet's softmax gives them.

        Returns:
            Scores of the same shape, >= 0. Classes whose score is not above ``score_thr`` are left
            out by the NMS.
        """

    def per_class(self, name: str, values: Sequence[float], lowest: float) -> Tensor:
        """One finite number of the config for each class, (C,), float64.

        Args:
            name: of the argument, for the message.
            values: C numbers.
            lowest: the smallest allowed one.

        Raises:
            ValueError: if they are something else.
        """
        numbers = torch.as_tensor(values, dtype=torch.float64)
        if numbers.shape != (self.num_classes,) or not (
                numbers.isfinite() & (numbers >= lowest)).all():
            raise ValueError(f'{type(self).__name__}({name}=) expects {self.num_classes} numbers '
                             f'>= {lowest:g}, one per class in label order, got '
                             f'{tuple(numbers.shape)} from {numbers.min():g}.')
        return numbers


class LogitCalibrator(Calibrator):
    """A calibrator that changes the logits of the classes; the head then activates them.

    So it serves any activation: softmax, sigmoid, sigmoid with objectness. What a classifier has
    besides one channel for each class, background or objectness, stays as it is.
    """

    uses_logits = True

    def forward(self, logits: Tensor) -> Tensor:
        """Calibrate the logits of one image.

        Args:
            logits: (R, channels), those of the C classes first.

        Returns:
            Logits of the same shape.
        """
        classes, others = logits[:, :self.num_classes], logits[:, self.num_classes:]
        return torch.cat([self.calibrate_classes(classes), others], dim=1)

    @abstractmethod
    def calibrate_classes(self, logits: Tensor) -> Tensor:
        """Logits (R, C) of the classes, calibrated."""


class ProbabilityCalibrator(Calibrator):
    """A calibrator that multiplies the probability of each class by a factor.

    The background keeps its probability; then each row is divided by its sum::

        p'_c = a_c p_c / (p_bg + sum_j a_j p_j),    p'_bg = p_bg / (p_bg + sum_j a_j p_j)

    Equal to adding log a_c to the logits of a softmax.
    """

    activation = 'softmax'

    def forward(self, scores: Tensor) -> Tensor:
        """See :class:`Calibrator`."""
        factor = self.log_factor()
        factor = torch.cat([factor, factor.new_zeros(1)])
        # In logarithms: large powers of counts and their products are beyond single precision.
        return (scores.log() + factor.to(scores)).softmax(dim=1)

    @abstractmethod
    def log_factor(self) -> Tensor:
        """log a_c: (C,)."""


@MODELS.register_module()
class IdentityCalibrator(Calibrator):
    """Leaves the scores as they are."""

    def forward(self, scores: Tensor) -> Tensor:
        """See :class:`Calibrator`."""
        return scores
