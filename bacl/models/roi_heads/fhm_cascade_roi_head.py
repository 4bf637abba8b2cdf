"""Cascade R-CNN's RoI head with hallucinated features in the loss of every stage."""
from functools import partial

from mmdet.models.roi_heads import CascadeRoIHead
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from torch import Tensor

from .early_stop_nms import EarlyStopNMSMixin
from .fhm_roi_head import FeatureHallucinationMixin


@MODELS.register_module()
class FHMCascadeRoIHead(FeatureHallucinationMixin, EarlyStopNMSMixin, CascadeRoIHead):
    """mmdet's ``CascadeRoIHead`` with a feature hallucination module per stage.

    The paper reports Cascade R-CNN without saying how the method extends to three classifiers, and
    the official code has none. Here every stage is a classifier of its own:

    - Each stage has its own FCBL with its own indicator, and its own class feature distribution.
      Stages have fully connected layers of their own, so their features differ, and with an IoU
      threshold of their own they learn from other positives: what one stage confuses says nothing
      certain about another.
    - The distribution of each stage is fed from ground-truth boxes jittered anew for that stage,
      as in Eq. (10), not from the boxes that the stages before it refined: statistics of rare
      classes do not depend on whether the refinement found them.
    - Each stage draws its own classes and features. They are part of its classification loss, so
      the stage's loss weight applies to them as to the RoIs.

    A stage observes and draws when its RoIs are classified. mmdet leaves out the remaining stages
    only if a rank has not a single RoI; see :class:`~bacl.models.losses.FCBL`.

    Refinement between stages, the mean of the stages' logits at test time and masks are the
    host's; see :class:`FeatureHallucinationMixin` for a step. The NMS at test time stops early; see
    :class:`EarlyStopNMSMixin`.

    Args:
        hallucinator: config of the :class:`FeatureHallucinator`, the same for every stage; None
            hallucinates nothing.
        **kwargs: of ``CascadeRoIHead``.
    """

    def __init__(self, hallucinator: ConfigType | None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.init_hallucinators(hallucinator)

    def _bbox_forward(self, stage: int, x: tuple[Tensor], rois: Tensor) -> dict:
        return self.forward_with_gt(stage, rois, partial(super()._bbox_forward, stage, x))
