"""RoI heads whose classification loss also sees hallucinated features."""
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import torch
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi, get_box_tensor
from mmdet.utils import ConfigType, InstanceList
from torch import Tensor, nn

from .classifier_taps import ClassifierTap
from .early_stop_nms import EarlyStopNMSMixin


class FeatureHallucinationMixin:
    """Adds the feature hallucination module to a RoI head of mmdet, one per box head.

    In a training step: (1) boxes are jittered around the ground truth and go through RoI extractor
    and box head together with the sampled RoIs, in one pass; (2) the inputs of the classifier that
    belong to them update the class feature distribution; (3) classes are drawn by the strength that
    the loss's long-term indicator gives them, and features are generated; (4) the classification
    loss of the host gets them as additional samples. The box and mask losses and prediction are the
    host's, unchanged.

    The one pass is for a frozen extractor, as in stage 2. Where layers of the box head learn, it
    records a graph of the jittered boxes as well, though no gradient comes back through it, and a
    batch norm in training mode sees them beside the RoIs.

    A subclass routes the host's ``_bbox_forward`` through :meth:`forward_with_gt`.

    ``hallucinating`` switches steps 3 and 4 off until their start epoch
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
            TypeError: if the classification loss of a box head has no long-term indicator, or its
                layers have other names than those of mmdet's ``BBoxHead``.
        """
        self.hallucinators = nn.ModuleList()
        self._taps = []  # of each box head, with its jittered RoIs, during a training step
        if hallucinator is None:
            return
        for head in self.bbox_heads:
            if not hasattr(head.loss_cls, 'indicator'):
                raise TypeError(
                    f'{type(self).__name__}(bbox_head=) expects a loss_cls with a long-term '
                    f"indicator, such as dict(type='FCBL'), got {type(head.loss_cls).__name__}.")
            has_reg = not getattr(head, 'with_reg', True) or hasattr(head, 'fc_reg')
            if not (has_reg and hasattr(head, 'fc_cls')):
                raise TypeError(
                    f'{type(self).__name__}(bbox_head=) expects a head whose last layers are '
                    f'fc_cls and fc_reg, such as Shared2FCBBoxHead, got {type(head).__name__}.')
            self.hallucinators.append(MODELS.build(hallucinator, default_args=dict(
                num_classes=head.num_classes, num_feats=head.fc_cls.in_features)))

    @property
    def bbox_heads(self) -> list[nn.Module]:
        """The box heads, one or, in a cascade, several."""
        return list(self.bbox_head) if isinstance(self.bbox_head, nn.ModuleList) \
            else [self.bbox_head]

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
        with ExitStack() as stack:
            stack.callback(self._taps.clear)
            for index, hallucinator in enumerate(self.hallucinators):
                gt_rois, gt_labels = self.jittered_rois(hallucinator, batch_data_samples)
                tap = ClassifierTap(self.bbox_heads[index],
                                    partial(self.exchange, index, gt_labels))
                self._taps.append((stack.enter_context(tap), gt_rois))
            return super().loss(x, rpn_results_list, batch_data_samples)

    def forward_with_gt(self, index: int, rois: Tensor,
                        forward: Callable[[Tensor], dict]) -> dict:
        """Run a box head on RoIs; in a training step, on jittered ground truth in the same pass.

        Args:
            index: number of the box head.
            rois: (N, 5), image and x1, y1, x2, y2 in pixels.
            forward: the host's forward pass of RoIs.

        Returns:
            The host's results for the N RoIs.
        """
        if not self._taps:
            return forward(rois)
        tap, gt_rois = self._taps[index]
        tap.num_rois = len(rois)
        results = forward(torch.cat([rois, gt_rois.to(rois.dtype)]))
        results['bbox_feats'] = results['bbox_feats'][:len(rois)]
        return results

    def exchange(self, index: int, gt_labels: Tensor, gt_feats: Tensor) -> tuple[Tensor, Tensor]:
        """Learn from the features around the ground truth and give hallucinated ones.

        Args:
            index: number of the box head.
            gt_labels: (S,), int64 in [0, C), of the jittered boxes.
            gt_feats: (S, D), their classifier inputs.

        Returns:
            Features (P, D) and labels (P,); P is 0 before hallucination starts.
        """
        hallucinator = self.hallucinators[index]
        hallucinator.observe(gt_feats, gt_labels)
        if not self.hallucinating:
            return gt_feats[:0], gt_labels[:0]
        return hallucinator.hallucinate(self.bbox_heads[index].loss_cls.indicator.strength())

    @staticmethod
    def jittered_rois(hallucinator: nn.Module,
                      batch_data_samples: SampleList) -> tuple[Tensor, Tensor]:
        """Boxes around the ground truth of a batch (Eq. 10).

        Args:
            hallucinator: whose box generator jitters.
            batch_data_samples: images with ``gt_instances`` and ``img_shape``.

        Returns:
            RoIs (S, 5) and labels (S,); S is 0 if the batch has no ground truth.
        """
        generator = hallucinator.box_generator
        boxes, labels = [], []
        for sample in batch_data_samples:
            gt = sample.gt_instances
            boxes.append(generator(get_box_tensor(gt.bboxes), sample.img_shape[:2]))
            labels.append(gt.labels.repeat_interleave(generator.num_boxes))
        return bbox2roi(boxes), torch.cat(labels)


@MODELS.register_module()
class FHMRoIHead(FeatureHallucinationMixin, EarlyStopNMSMixin, StandardRoIHead):
    """mmdet's ``StandardRoIHead`` with the feature hallucination module.

    At test time its NMS stops early; see :class:`EarlyStopNMSMixin`.

    Works with any box head that has ``fc_cls``, ``fc_reg`` and a loss with a long-term indicator,
    such as ``Shared2FCBBoxHead`` with ``FCBL``; see :class:`FeatureHallucinationMixin`.

    Args:
        hallucinator: config of the :class:`FeatureHallucinator`; None hallucinates nothing.
        **kwargs: of ``StandardRoIHead``.
    """

    def __init__(self, hallucinator: ConfigType | None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.init_hallucinators(hallucinator)

    def _bbox_forward(self, x: tuple[Tensor], rois: Tensor) -> dict:
        return self.forward_with_gt(0, rois, partial(super()._bbox_forward, x))
