"""Temperature scaling: logits divided by a number."""
from collections.abc import Sequence

import torch
from mmdet.registry import MODELS
from torch import Tensor

from .base import Calibrator, check_strength


@MODELS.register_module()
class Temperature(Calibrator):
    """Divides the logits by a temperature: one of all channels, or one of each class.

    ::

        z'_c = z_c / T      one for all, background and objectness included
        z'_c = z_c / T_c    one for each class; other channels stay

    One temperature for all keeps the order of the scores within a RoI; with a softmax it changes
    the order between RoIs. T = 1 changes nothing.

    Args:
        num_classes: C, > 0.
        temperature: > 0, or C of these in label order.

    Raises:
        ValueError: if it is something else.

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, Section 4.2.
    """

    uses_logits = True
    default_sweep = 'temperature=0.5,0.7,1,1.4,2,2.8,4'

    def __init__(self, num_classes: int, temperature: float | Sequence[float]) -> None:
        super().__init__(num_classes)
        self.temperature = temperature

    @property
    def temperature(self) -> float | Sequence[float]:
        """One number, or one of each class; checked when it is set."""
        return self._temperature

    @temperature.setter
    def temperature(self, value: float | Sequence[float]) -> None:
        if isinstance(value, Sequence) and not isinstance(value, str):
            self.per_class('temperature', value, lowest=1e-12)
        else:
            check_strength('Temperature(temperature=)', value, is_positive=True)
        self._temperature = value

    def forward(self, logits: Tensor) -> Tensor:
        """Logits (R, channels), those of the classes first, divided."""
        if not isinstance(self.temperature, Sequence):
            return logits / self.temperature
        divisor = torch.ones_like(logits[0:1])
        divisor[:, :self.num_classes] = logits.new_tensor(self.temperature)
        return logits / divisor
