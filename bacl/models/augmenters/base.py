"""The interface of augmenters: extra samples for the classifier, which no box is drawn for.

Shapes: N sampled RoIs, S jittered boxes, P extra samples, D inputs of the classifier, C classes;
label C is background.
"""
from abc import ABC, abstractmethod
from typing import NamedTuple

from mmdet.utils import ConfigType
from torch import Tensor, nn

from ..indicators import LongTermIndicator, build_indicator


class Samples(NamedTuple):
    """Samples at the input of the classifier.

    Attributes:
        feats: (N, D), without gradient.
        labels: (N,), int64 in [0, C].
        box_targets: (N, 4), encoded box targets, 0 for background; None unless the augmenter
            :attr:`~FeatureAugmenter.uses_box_targets`.
    """

    feats: Tensor
    labels: Tensor
    box_targets: Tensor | None = None


class ExtraSamples(NamedTuple):
    """Samples that an augmenter adds.

    Attributes:
        feats: (P, D).
        labels: (P,), int64 in [0, C]; a sample with the label C is void and counts nowhere.
        box_targets: (P, 4), encoded; given, the samples are regressed, too.
        total_weight: None, and each sample counts like a RoI, also in the divisor of the losses; a
            number >= 0, and together they add this many times their mean loss.
    """

    feats: Tensor
    labels: Tensor
    box_targets: Tensor | None = None
    total_weight: float | None = None


class FeatureAugmenter(nn.Module, ABC):
    """A source of extra samples for the classifier: hallucinated, remembered or mixed ones.

    A RoI head (:class:`~bacl.models.roi_heads.LongTailRoIHead`) has one for each of its box heads
    and calls it in every training step, before the classifier runs, and :meth:`observe` after the
    loss. In ``eval()`` a pass for losses only has no extra samples.

    Args:
        num_classes: C, > 0.
        num_feats: D, number of inputs of the classifier.
        indicator: config of a long-term indicator of its own, which then observes all samples;
            None takes that of the loss, if it has one.

    Attributes:
        box_generator: module that jitters ground-truth boxes, as
            :class:`~bacl.models.augmenters.GTBoxGenerator`; the augmenter then sees their features.
        uses_box_targets: set it to get box targets with the samples.
        needs_strength: set it to be refused where nothing gives the strength of classes.
        activation: 'softmax' if the logits mean something under a softmax over the C classes and,
            last, the background only; a head with another loss is refused.
    """

    starts_empty = True  # a checkpoint of stage 1 has no augmenter
    uses_box_targets = False
    needs_strength = False
    activation: str | None = None

    def __init__(self, num_classes: int, num_feats: int,
                 indicator: ConfigType | None = None) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.num_feats = num_feats
        self.box_generator: nn.Module | None = None
        self.indicator: LongTermIndicator | None = None
        if indicator is not None:
            self.indicator = build_indicator(indicator, num_classes, type(self).__name__)

    @abstractmethod
    def forward(self, rois: Samples, boxes: Samples | None,
                strength: Tensor | None) -> ExtraSamples:
        """Learn from the samples of a step and give extra ones; without gradient.

        If state is summed over ranks: every rank gets here in every step, also without samples.

        Args:
            rois: the N sampled RoIs.
            boxes: the S boxes of the box generator, none of them background; None without one.
            strength: (C,), in [0, 1], of the indicator; None without one.
        """

    def observe(self, logits: Tensor, labels: Tensor, num_rois: int) -> None:
        """See what the classifier said, after the loss; here shown to the own indicator.

        Called in ``eval()``, too, in a pass for losses. Every rank gets here.

        Args:
            logits: (N + P, channels), without gradient: of the RoIs, then of the extra samples.
            labels: (N + P,), int64 in [0, C].
            num_rois: N.
        """
        if self.indicator is not None and self.training:
            self.indicator.observe(logits, labels)
