"""The interface of calibrators, and the one that changes nothing."""
from abc import ABC, abstractmethod

from mmdet.registry import MODELS
from torch import Tensor, nn


class Calibrator(nn.Module, ABC):
    """A function of the scores of all RoIs of an image, between the classifier and the NMS.

    ``test_cfg.rcnn.calibrator=dict(type=...)`` puts one into any RoI head of this package; training
    does not use it. One that needs class counts says so by a method ``set_class_counts`` and keeps
    them in a buffer: it gets them before a training
    (:class:`~bacl.engine.hooks.MethodHook`), and a test takes them from the checkpoint, which is
    refused without.

    Args:
        num_classes: C, > 0.
    """

    starts_empty = True  # a checkpoint of stage 1 may come from a training without it

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


@MODELS.register_module()
class IdentityCalibrator(Calibrator):
    """Leaves the scores as they are."""

    def forward(self, scores: Tensor) -> Tensor:
        """See :class:`Calibrator`."""
        return scores
