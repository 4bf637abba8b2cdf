"""NorCal: probabilities of classes divided by a power of their number of training images."""
from mmdet.registry import MODELS
from torch import Tensor

from ..class_counts import ClassCountsMixin
from .base import ProbabilityCalibrator, Strength


@MODELS.register_module()
class NorCal(ClassCountsMixin, ProbabilityCalibrator):
    """Normalized calibration of a softmax classifier.

    With n_c training images of class c, at least 1::

        p'_c = p_c n_c^-gamma / (p_bg + sum_j p_j n_j^-gamma)

    The background has no factor, so objects gain or lose against it, too. gamma = 0 changes
    nothing.

    Args:
        num_classes: C, > 0.
        gamma: strength, >= 0. Nothing tells it but data that training did not see; the released
            configs of the authors have 0, which is off. ``tools/calibrate.py`` chooses one.
        counts: see :class:`~bacl.models.class_counts.ClassCountsMixin`.
        ann_file: see there.

    Reference:
        Pan et al., "On Model Calibration for Long-Tailed Object Detection and Instance
        Segmentation", NeurIPS 2021, Eq. (4).
    """

    count_name = 'image_count'
    always_saved = False
    default_sweep = 'gamma=0:1.5:0.1'
    gamma = Strength()

    def __init__(self, num_classes: int, gamma: float, **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.gamma = gamma

    def log_factor(self) -> Tensor:
        """-gamma log n_c."""
        return -self.gamma * self.known_counts().clamp(min=1).log()
