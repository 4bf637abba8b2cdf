"""Logit adjustment: the logarithm of the class prior taken off the logits."""
from mmdet.registry import MODELS
from torch import Tensor

from ..class_counts import ClassCountsMixin
from .base import LogitCalibrator, Strength


@MODELS.register_module()
class LogitAdjustment(ClassCountsMixin, LogitCalibrator):
    """Post-hoc logit adjustment, for softmax and sigmoid classifiers.

    With the prior pi_c, the share of class c in the training instances::

        z'_c = z_c - tau log pi_c

    The background is no class of the prior and keeps its logit. That is a choice: the prior's
    constant shifts objects against the background. A class without instances counts as one with
    one. tau = 0 changes nothing.

    Args:
        num_classes: C, > 0.
        tau: strength, >= 0.
        counts: see :class:`~bacl.models.class_counts.ClassCountsMixin`.
        ann_file: see there.

    Reference:
        Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, Eq. (9).
    """

    count_name = 'instance_count'
    always_saved = False
    default_sweep = 'tau=0:1.5:0.1'
    tau = Strength()

    def __init__(self, num_classes: int, tau: float, **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.tau = tau

    def calibrate_classes(self, logits: Tensor) -> Tensor:
        """z - tau log pi."""
        counts = self.known_counts().clamp(min=1)
        return logits - self.tau * (counts / counts.sum()).log().to(logits)
