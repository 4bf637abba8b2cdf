"""RoI heads that learn from images without boxes, and from soft labels.

Shapes: M coarse boxes and N positive RoIs of a batch, D inputs of the classifier, C classes.
"""
import torch
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi, get_box_tensor
from mmdet.utils import ConfigType, InstanceList, reduce_mean
from torch import Tensor, nn

from ..semantics import soft_label_loss
from .classifier_tap import inputs_of
from .long_tail_roi_head import LongTailMixin
from .score_nms import ScoreNMSMixin


def largest_proposals(boxes: Tensor, proposals: Tensor) -> Tensor:
    """For each coarse box the largest of the proposals whose centre is in it.

    If the box is the whole image, that is the largest proposal. Where there is none, it is the
    coarse box itself.

    Args:
        boxes: (M, 4), of an image, x1, y1, x2, y2.
        proposals: (P, 4), of the same.

    Returns:
        (M, 4).

    Reference:
        Zhou et al., "Detecting Twenty-thousand Classes using Image-level Supervision", ECCV 2022
        (Detic), whose max-size loss has one label for an image.
    """
    if not len(proposals) or not len(boxes):
        return boxes
    centres = (proposals[:, None, :2] + proposals[:, None, 2:]) / 2  # (P, 1, 2)
    is_inside = ((boxes[:, :2] <= centres) & (centres <= boxes[:, 2:])).all(2)  # (P, M)
    areas = (proposals[:, 2:] - proposals[:, :2]).clamp(min=0).prod(1)
    area, largest = torch.where(is_inside, areas[:, None], -1).max(0)
    return torch.where(area[:, None] >= 0, proposals[largest], boxes)


def check_classifies_once(head: nn.Module, owner: str) -> None:
    """Refuse a box head whose classifier has not one input for each box.

    Args:
        head: the box head.
        owner: name of the RoI head, for the message.

    Raises:
        TypeError: if it has no ``fc_cls``, or runs it several times.
    """
    if not hasattr(head, 'fc_cls') or getattr(head, 'num_iterations', 1) > 1:
        raise TypeError(f'{owner}(bbox_head=) expects a head that runs a layer fc_cls once, such '
                        f'as Shared2FCBBoxHead, got {type(head).__name__}.')


class ImageSupervisionMixin:
    """Adds to a RoI head of this package a semantic branch and the loss of image labels.

    - The semantic branch, beside the classifier, tells classes apart by its input: a
      :class:`~bacl.models.predictors.TextCosineLinear` whose softmax learns the soft labels of the
      teacher, on the positive RoIs of images with boxes and on the coarse boxes of the others. It
      is used in training only. In a cascade it is beside the last classifier (as RichSem has it in
      a decoder; for a cascade the paper does not say).
    - The loss of image labels is that of the classifier, on the largest proposal in each coarse
      box; in a cascade the mean over all classifiers. Where the classifier tells objects from
      background by channels of their own, these learn nothing from it: the label says what is in
      the region, not that it is the box of an object. Losses that count samples count it as one,
      whatever its weight.

    Both are computed in every step of every rank, over no boxes if there are none: so all ranks
    have the same losses, and every parameter a gradient. It is for a detector that tells images
    with and without boxes apart: :class:`~bacl.models.detectors.ImageSupervisedDetector`.

    Args:
        semantic_branch: config of the branch, ``dict(type='TextCosineLinear', embed_dims=...)``;
            None has none.
        soft_label_weight: factor of the loss of soft labels, >= 0 (0.5 in RichSem).
        image_label_weight: factor of the loss of image labels, >= 0 (0.1 in Detic); 0 has none.
        **kwargs: of the host.

    Raises:
        TypeError: if a box head has no ``fc_cls``, or runs it several times; with a weight of image
            labels also if its loss counts objects, or is normalised by the weights of its samples.
        ValueError: if a weight is negative.

    Reference:
        Meng et al., "Learning from Rich Semantics and Coarse Locations for Long-tailed Object
        Detection", NeurIPS 2023 (RichSem), whose supplement reports it in a cascade of RoI heads;
        Zhou et al., ECCV 2022 (Detic).
    """

    training_layers = ('semantic_branch',)

    def __init__(self, semantic_branch: ConfigType | None = None, soft_label_weight: float = 0.5,
                 image_label_weight: float = 0.0, **kwargs) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.soft_label_weight = soft_label_weight
        self.image_label_weight = image_label_weight
        for name, weight in (('soft_label_weight', soft_label_weight),
                             ('image_label_weight', image_label_weight)):
            if weight < 0:
                raise ValueError(f'{owner}({name}=) expects a number >= 0, got {weight!r}.')
        for head in self.bbox_heads:
            check_classifies_once(head, owner)
            shown = [part for part in head.loss_cls.modules() if hasattr(part, 'set_objects')]
            if image_label_weight and shown:
                raise TypeError(f'{owner}(image_label_weight=) expects a loss that does not count '
                                f'objects, got {type(head.loss_cls).__name__}, in which '
                                f'{type(shown[0]).__name__} does: a coarse box is none.')
            if image_label_weight and getattr(head.loss_cls, 'has_relative_weights', False):
                raise TypeError(f'{owner}(image_label_weight=) expects a loss that a weight of all '
                                f'samples is a factor of, got {type(head.loss_cls).__name__}, '
                                'which is normalised by their weights.')
        last = self.bbox_heads[-1]
        self.semantic_branch = None if semantic_branch is None else MODELS.build(
            semantic_branch, default_args=dict(in_features=last.fc_cls.in_features,
                                               out_features=last.num_classes))
        self._teacher_logits: list[Tensor] = []  # of each image, during a training step
        self._positives: tuple[Tensor, Tensor] | None = None  # features and teacher's logits

    @property
    def needs_teacher(self) -> bool:
        """Whether boxes are to have the logits of a semantic teacher."""
        return self.semantic_branch is not None

    @property
    def needs_proposals(self) -> bool:
        """Whether :meth:`image_level_loss` is to get the proposals of image-level data."""
        return bool(self.image_label_weight)

    def loss(self, x: tuple[Tensor], rpn_results_list: InstanceList,
             batch_data_samples: SampleList) -> dict:
        """The host's losses; :meth:`image_level_loss` is to be called behind it.

        Args:
            x: feature maps of all levels.
            rpn_results_list: proposals of each image.
            batch_data_samples: with a semantic branch, ``gt_instances`` have ``teacher_logits``.

        Raises:
            RuntimeError: if they have none.
        """
        self._positives = None
        if self.semantic_branch is not None:
            instances = [sample.gt_instances for sample in batch_data_samples]
            if any('teacher_logits' not in gt for gt in instances):
                raise RuntimeError(
                    f'{type(self).__name__}(semantic_branch=) expects gt_instances with '
                    'teacher_logits, got none. Use it in an ImageSupervisedDetector.')
            self._teacher_logits = [gt.teacher_logits for gt in instances]
        try:
            return super().loss(x, rpn_results_list, batch_data_samples)
        finally:
            self._teacher_logits = []

    def bbox_loss(self, *args) -> dict:
        """The host's loss of a box head, whose inputs of the classifier are kept."""
        head, sampling_results = self.bbox_heads[args[0] if len(args) == 3 else -1], args[-1]
        if self.semantic_branch is None or head is not self.bbox_heads[-1]:
            return super().bbox_loss(*args)
        with inputs_of(head.fc_cls) as inputs:
            results = super().bbox_loss(*args)
        # Of each image mmdet has the positives first.
        sizes = [len(part) for result in sampling_results
                 for part in (result.pos_inds, result.neg_inds)]
        positives = inputs[0][:sum(sizes)].split(sizes)[::2]
        self._positives = torch.cat(positives), torch.cat([
            logits[result.pos_assigned_gt_inds]
            for logits, result in zip(self._teacher_logits, sampling_results, strict=True)])
        return results

    def image_level_loss(self, x: tuple[Tensor], batch_data_samples: SampleList,
                         proposals: list[Tensor]) -> dict:
        """Losses of soft labels and of image labels.

        Args:
            x: feature maps of all images.
            batch_data_samples: of all images; ``gt_instances`` are the coarse boxes, none for an
                image with boxes of objects. A label -1 is none.
            proposals: of each image, (P, 4); none for an image with boxes of objects.

        Returns:
            ``loss_soft_label`` and ``loss_image_label``, as far as they are switched on.
        """
        instances = [sample.gt_instances for sample in batch_data_samples]
        boxes = [get_box_tensor(gt.bboxes) for gt in instances]
        losses = {}
        if self.semantic_branch is not None:
            losses['loss_soft_label'] = self._soft_label_loss(
                x, boxes, torch.cat([gt.teacher_logits for gt in instances]))
        if self.image_label_weight:
            chosen = [largest_proposals(*pair) for pair in zip(boxes, proposals, strict=True)]
            losses['loss_image_label'] = self._image_label_loss(
                x, chosen, torch.cat([gt.labels for gt in instances]))
        return losses

    def _classify(self, index: int, x: tuple[Tensor], boxes: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Inputs of the classifier of a box head, (M, D), and its logits."""
        is_cascade = isinstance(self.bbox_head, nn.ModuleList)
        with inputs_of(self.bbox_heads[index].fc_cls) as inputs:
            results = self._bbox_forward(*([index] if is_cascade else []), x, bbox2roi(boxes))
        return inputs[0], results['cls_score']

    def _soft_label_loss(self, x: tuple[Tensor], boxes: list[Tensor],
                         teacher_logits: Tensor) -> Tensor:
        feats, _ = self._classify(len(self.bbox_heads) - 1, x, boxes)
        if self._positives is not None:  # a cascade may end before its last stage
            feats = torch.cat([self._positives[0], feats])
            teacher_logits = torch.cat([self._positives[1], teacher_logits])
            self._positives = None
        # The mean over ranks, as of the official code: each box counts alike on all of them.
        num_boxes = reduce_mean(feats.new_full((), len(feats), dtype=torch.float32))
        return self.soft_label_weight * soft_label_loss(
            self.semantic_branch(feats), teacher_logits, num_boxes.clamp(min=1))

    def _image_label_loss(self, x: tuple[Tensor], boxes: list[Tensor], labels: Tensor) -> Tensor:
        is_labelled = labels >= 0
        total = 0
        for index, head in enumerate(self.bbox_heads):
            _, logits = self._classify(index, x, boxes)
            num_learning = logits.size(1) - getattr(head.loss_cls, 'objectness_channels', 0)
            logits = torch.cat([logits[:, :num_learning], logits[:, num_learning:].detach()], dim=1)
            total = total + head.loss_cls(
                logits, labels.where(is_labelled, head.num_classes),
                is_labelled.to(logits) * self.image_label_weight,
                avg_factor=is_labelled.sum().clamp(min=1))
        return total / len(self.bbox_heads)


@MODELS.register_module()
class ImageSupervisedRoIHead(ImageSupervisionMixin, LongTailMixin, ScoreNMSMixin,
                             StandardRoIHead):
    """mmdet's ``StandardRoIHead`` for image-level data; see :class:`ImageSupervisionMixin`."""


@MODELS.register_module()
class ImageSupervisedCascadeRoIHead(ImageSupervisionMixin, LongTailMixin, ScoreNMSMixin,
                                    CascadeRoIHead):
    """mmdet's ``CascadeRoIHead`` for image-level data; see :class:`ImageSupervisionMixin`."""
