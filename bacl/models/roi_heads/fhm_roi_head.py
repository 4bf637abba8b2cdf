"""RoI heads whose classification loss also sees hallucinated features."""
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi, get_box_tensor
from mmdet.utils import ConfigType, InstanceList
from torch import Tensor, nn

from .classifier_taps import classifier_inputs, extra_loss_samples
from .early_stop_nms import EarlyStopNMSMixin


@contextmanager
def uncached_autocast() -> Iterator[None]:
    """Keep the half-precision copies of weights that are made without gradient out of the cache.

    Before torch 2.10, autocast reuses a copy made under ``no_grad`` in the forward pass with
    gradient that follows, and the weight never learns.
    """
    was_enabled = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(was_enabled)


class FeatureHallucinationMixin(ABC):
    """Adds the feature hallucination module to a RoI head of mmdet, one per box head.

    In a training step, before the host computes its losses: (1) boxes are jittered around the
    ground truth and their classifier inputs, computed without gradient, update the class feature
    distribution; (2) classes are drawn by the strength that the loss's long-term indicator gives
    them, and features are generated; (3) the classification loss of the host gets them as
    additional samples. The box and mask losses and prediction are the host's, unchanged.

    ``hallucinating`` switches steps 2 and 3 off until their start epoch
    (:class:`~bacl.engine.hooks.ShortTermIndicatorHook`).
    """

    hallucinating: bool = True

    def init_hallucinators(self, hallucinator: ConfigType | None) -> None:
        """Build one hallucinator per box head; called once the box heads exist.

        Args:
            hallucinator: config of a :class:`FeatureHallucinator` without ``num_classes`` and
                ``num_feats``, which come from the box head; None builds none, and the head is its
                host.

        Raises:
            TypeError: if the classification loss of a box head has no long-term indicator.
        """
        self.hallucinators = nn.ModuleList()
        if hallucinator is None:
            return
        for head in self.bbox_heads:
            if not hasattr(head.loss_cls, 'indicator'):
                raise TypeError(
                    f'{type(self).__name__}(bbox_head=) expects a loss_cls with a long-term '
                    f"indicator, such as dict(type='FCBL'), got {type(head.loss_cls).__name__}.")
            self.hallucinators.append(MODELS.build(hallucinator, default_args=dict(
                num_classes=head.num_classes, num_feats=head.fc_cls.in_features)))

    @property
    def bbox_heads(self) -> list[nn.Module]:
        """The box heads, one or, in a cascade, several."""
        return list(self.bbox_head) if isinstance(self.bbox_head, nn.ModuleList) \
            else [self.bbox_head]

    @abstractmethod
    def forward_bbox_head(self, index: int, x: tuple[Tensor], rois: Tensor) -> dict:
        """Run box head number ``index`` on ``rois`` (N, 5) as the host does."""

    def loss(self, x: tuple[Tensor], rpn_results_list: InstanceList,
             batch_data_samples: SampleList) -> dict:
        """The host's losses, the classification loss with hallucinated samples.

        Args:
            x: feature maps of all levels.
            rpn_results_list: proposals of each image.
            batch_data_samples: images with ``gt_instances`` and ``img_shape``.

        Returns:
            The host's dictionary of losses.
        """
        with ExitStack() as samples:
            for index, hallucinator in enumerate(self.hallucinators):
                head = self.bbox_heads[index]
                hallucinator.observe(*self.gt_features(index, x, batch_data_samples))
                if self.hallucinating:
                    strength = head.loss_cls.indicator.strength()
                    samples.enter_context(
                        extra_loss_samples(head, *hallucinator.hallucinate(strength)))
            return super().loss(x, rpn_results_list, batch_data_samples)

    @torch.no_grad()
    def gt_features(self, index: int, x: tuple[Tensor],
                    batch_data_samples: SampleList) -> tuple[Tensor, Tensor]:
        """Classifier inputs of jittered ground-truth boxes.

        Args:
            index: number of the box head.
            x: feature maps of all levels.
            batch_data_samples: images with ``gt_instances`` and ``img_shape``.

        Returns:
            Features (S, D) and labels (S,); S is 0 if the batch has no ground truth.
        """
        head = self.bbox_heads[index]
        generator = self.hallucinators[index].box_generator
        boxes, labels = [], []
        for sample in batch_data_samples:
            gt = sample.gt_instances
            boxes.append(generator(get_box_tensor(gt.bboxes), sample.img_shape[:2]))
            labels.append(gt.labels.repeat_interleave(generator.num_boxes))
        labels = torch.cat(labels)
        if not len(labels):
            return x[0].new_zeros(0, head.fc_cls.in_features), labels
        with classifier_inputs(head) as feats, uncached_autocast():
            self.forward_bbox_head(index, x, bbox2roi(boxes))
        return feats[0], labels


@MODELS.register_module()
class FHMRoIHead(FeatureHallucinationMixin, EarlyStopNMSMixin, StandardRoIHead):
    """mmdet's ``StandardRoIHead`` with the feature hallucination module.

    At test time its NMS stops early; see :class:`EarlyStopNMSMixin`.

    Works with any box head that has ``fc_cls`` and a loss with a long-term indicator, such as
    ``Shared2FCBBoxHead`` with ``FCBL``; see :class:`FeatureHallucinationMixin`.

    Args:
        hallucinator: config of the :class:`FeatureHallucinator`; None hallucinates nothing.
        **kwargs: of ``StandardRoIHead``.
    """

    def __init__(self, hallucinator: ConfigType | None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.init_hallucinators(hallucinator)

    def forward_bbox_head(self, index: int, x: tuple[Tensor], rois: Tensor) -> dict:
        """See :meth:`FeatureHallucinationMixin.forward_bbox_head`."""
        return self._bbox_forward(x, rois)
