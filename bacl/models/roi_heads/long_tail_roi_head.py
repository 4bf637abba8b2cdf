"""mmdet's RoI heads, opened to what long-tailed methods add: augmenters, predictors, calibrators.

Shapes: N sampled RoIs of a batch, S jittered boxes, D inputs of the classifier, C classes.
"""
from functools import partial

import torch
from bacl.ops import is_on_cpu
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.models.task_modules import SamplingResult
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi, get_box_tensor
from mmdet.utils import ConfigType, InstanceList
from torch import Tensor, nn

from ..augmenters import ExtraSamples, FeatureAugmenter, Samples
from .classifier_tap import ClassifierTap
from .score_nms import ScoreNMSMixin


class LongTailMixin:
    """Adds to a RoI head of mmdet the places where a long-tailed method comes in.

    - ``augmenter``: extra samples for the classifier, of each box head; see
      :class:`~bacl.models.augmenters.FeatureAugmenter`. In a training step (1) boxes are jittered
      around the ground truth, if the augmenter wants them, and go through RoI extractor and box
      head together with the sampled RoIs, in one pass; (2) the augmenter gets the classifier's
      inputs of both, with labels and, if it wants them, box targets, and gives extra samples; (3)
      they join the RoIs in the losses of the host, with the weight that the augmenter says.
    - A predictor with ``observe`` (:class:`~bacl.models.predictors.ClassPredictor`) gets inputs and
      labels of the RoIs in every training step.
    - A module of the loss or the augmenter with ``set_objects``, such as
      :class:`~bacl.models.indicators.MeanClassificationScore`, is told which object a sample is of.
    - Scores pass a calibrator, if there is one, and an NMS that stops early; see
      :class:`.score_nms.ScoreNMSMixin`.

    Everything else is the host's, unchanged.

    The one pass is for a frozen extractor, as in stage 2. Where layers of the box head learn, it
    records a graph of the jittered boxes as well, though no gradient comes back through it, and a
    batch norm in training mode sees them beside the RoIs.

    A cascade has an augmenter, as it has a classifier and a loss, for each of its stages: they have
    layers of their own and learn from other positives. Boxes are jittered anew for each, around the
    ground truth, not around what the stages before refined. (The paper of BACL reports Cascade
    R-CNN without saying how its method extends to three classifiers; the official code has none.)

    Args:
        augmenter: config of the augmenter, without ``num_classes`` and ``num_feats``, which come
            from the box head; None adds no samples.
        **kwargs: of the host.

    Raises:
        TypeError: if a part does not fit the box heads; says which and why.
    """

    def __init__(self, augmenter: ConfigType | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.augmenters = nn.ModuleList()
        self._boxes = []  # of each box head, its jittered boxes, during a training step
        self._tapped_boxes = None  # those of the box head that is at work
        if augmenter is not None:
            self.augmenters.extend(self._build_augmenter(augmenter, head)
                                   for head in self.bbox_heads)

    @property
    def bbox_heads(self) -> list[nn.Module]:
        """The box heads, one or, in a cascade, several."""
        return list(self.bbox_head) if isinstance(self.bbox_head, nn.ModuleList) \
            else [self.bbox_head]

    def _build_augmenter(self, cfg: ConfigType, head: nn.Module) -> FeatureAugmenter:
        owner, head_name = type(self).__name__, type(head).__name__
        has_reg = not getattr(head, 'with_reg', True) or hasattr(head, 'fc_reg')
        if not (has_reg and hasattr(head, 'fc_cls')):
            raise TypeError(
                f'{owner}(bbox_head=) expects a head whose last layers are fc_cls and fc_reg, such '
                f'as Shared2FCBBoxHead, got {head_name}.')
        if getattr(head, 'num_iterations', 1) > 1:
            raise TypeError(f'{owner}(augmenter=) expects a head that runs its classifier once, '
                            f'such as Shared2FCBBoxHead, got {head_name}.')
        augmenter = MODELS.build(cfg, default_args=dict(
            num_classes=head.num_classes, num_feats=head.fc_cls.in_features))
        name = type(augmenter).__name__
        if not isinstance(augmenter, FeatureAugmenter):
            raise TypeError(f'{owner}(augmenter=) expects a FeatureAugmenter such as '
                            f"dict(type='FeatureHallucinator'), got {name}.")
        if augmenter.needs_strength and _indicator(augmenter, head) is None:
            raise TypeError(
                f'{name} needs a long-term indicator, which {type(head.loss_cls).__name__} does '
                "not have. Give it one of its own, such as indicator=dict(type='ImageFrequency'), "
                "or use a loss with an indicator, such as dict(type='FCBL').")
        own_layers = [key for key in ('num_cls_convs', 'num_cls_fcs', 'num_reg_convs',
                                      'num_reg_fcs') if getattr(head, key, 0)]
        if augmenter.uses_box_targets and (own_layers or head.reg_decoded_bbox):
            raise TypeError(
                f'{name} gives samples to classifier and box regressor, which in {head_name}(' +
                ', '.join(own_layers or ['reg_decoded_bbox']) + ') do not have the same inputs and '
                'encoded targets. Use Shared2FCBBoxHead with reg_decoded_bbox=False.')
        return augmenter

    def loss(self, x: tuple[Tensor], rpn_results_list: InstanceList,
             batch_data_samples: SampleList) -> dict:
        """The host's losses, with the extra samples.

        Args:
            x: feature maps of all levels.
            rpn_results_list: proposals of each image.
            batch_data_samples: images with ``gt_instances`` and ``img_shape``.

        Returns:
            The host's dictionary of losses.
        """
        self._boxes = [jittered_boxes(augmenter, head, batch_data_samples) for augmenter, head
                       in zip(self.augmenters, self.bbox_heads, strict=False)]
        try:
            return super().loss(x, rpn_results_list, batch_data_samples)
        finally:
            self._boxes = []

    def bbox_loss(self, *args) -> dict:
        """The host's loss of a box head; in a cascade the first argument is its number."""
        index = args[0] if len(args) == 3 else 0
        head, sampling_results = self.bbox_heads[index], args[-1]
        augmenter = self.augmenters[index] if self.augmenters else None
        object_users = [module for part in (head.loss_cls, augmenter) if part is not None
                        for module in part.modules() if hasattr(module, 'set_objects')]
        has_observer = hasattr(getattr(head, 'fc_cls', None), 'observe')
        if augmenter is None and not object_users and not has_observer:
            return super().bbox_loss(*args)
        num_rois = sum(len(result.priors) for result in sampling_results)
        labels = roi_labels(sampling_results, head.num_classes)
        targets = None
        if augmenter is not None and augmenter.uses_box_targets:
            train_cfg = self.train_cfg[index] if len(args) == 3 else self.train_cfg
            targets = head.get_targets(sampling_results, train_cfg)[2]
        rois, boxes = self._boxes[index] if augmenter is not None else (None, None)
        exchange = partial(self._exchange, head, augmenter, object_users, sampling_results,
                           Samples(None, labels, targets), boxes)
        after_loss = None if augmenter is None else partial(augmenter.observe, num_rois=num_rois)
        self._tapped_boxes = rois
        try:
            with ClassifierTap(head, num_rois, exchange, after_loss):
                return super().bbox_loss(*args)
        finally:
            self._tapped_boxes = None

    def _bbox_forward(self, *args, **kwargs) -> dict:
        """The host's pass of RoIs, in a training step with the jittered boxes behind them."""
        if self._tapped_boxes is None:
            return super()._bbox_forward(*args, **kwargs)
        *others, rois = args  # in training, mmdet passes them by position
        results = super()._bbox_forward(
            *others, torch.cat([rois, self._tapped_boxes.to(rois.dtype)]))
        results['bbox_feats'] = results['bbox_feats'][:len(rois)]
        return results

    @torch.no_grad()
    def _exchange(self, head: nn.Module, augmenter: FeatureAugmenter | None,
                  object_users: list[nn.Module], sampling_results: list[SamplingResult],
                  rois: Samples, boxes: Samples | None, roi_feats: Tensor,
                  box_feats: Tensor) -> ExtraSamples:
        """The extra samples that a :class:`ClassifierTap` puts in the place of the boxes."""
        if hasattr(head.fc_cls, 'observe'):
            head.fc_cls.observe(roi_feats, rois.labels)
        extra = ExtraSamples(roi_feats[:0], rois.labels[:0])
        if augmenter is not None and augmenter.training:
            indicator = _indicator(augmenter, head)
            extra = augmenter(rois._replace(feats=roi_feats),
                              None if boxes is None else boxes._replace(feats=box_feats),
                              None if indicator is None else indicator.strength())
            check_extra_samples(extra, augmenter)
        if object_users:
            objects, num_objects = sampled_objects(sampling_results)
            # The extra samples of a class are one object.
            objects = torch.cat([objects, num_objects + extra.labels])
            for module in object_users:
                module.set_objects(objects, num_objects + head.num_classes + 1)
        return extra


def _indicator(augmenter: FeatureAugmenter, head: nn.Module) -> nn.Module | None:
    """The augmenter's own indicator or that of the loss."""
    return getattr(head.loss_cls, 'indicator', None) if augmenter.indicator is None \
        else augmenter.indicator


def jittered_boxes(augmenter: FeatureAugmenter, head: nn.Module,
                   batch_data_samples: SampleList) -> tuple[Tensor | None, Samples | None]:
    """Boxes around the ground truth of a batch.

    Args:
        augmenter: whose box generator jitters.
        head: box head, whose coder encodes box targets.
        batch_data_samples: images with ``gt_instances`` and ``img_shape``.

    Returns:
        RoIs (S, 5), and their labels and, if the augmenter uses them, box targets; S is 0 if the
        batch has no ground truth. None without a box generator.
    """
    generator = augmenter.box_generator
    if generator is None:
        return None, None
    boxes, labels, targets = [], [], []
    for sample in batch_data_samples:
        gt = sample.gt_instances
        gt_boxes = get_box_tensor(gt.bboxes)
        boxes.append(generator(gt_boxes, sample.img_shape[:2]))
        labels.append(gt.labels.repeat_interleave(generator.num_boxes))
        if augmenter.uses_box_targets:
            targets.append(head.bbox_coder.encode(
                boxes[-1], gt_boxes.repeat_interleave(generator.num_boxes, dim=0)))
    return bbox2roi(boxes), Samples(None, torch.cat(labels),
                                    torch.cat(targets) if targets else None)


def roi_labels(sampling_results: list[SamplingResult], num_classes: int) -> Tensor:
    """(N,), int64 in [0, C]: labels of the sampled RoIs in the order of mmdet's heads."""
    parts = []
    for result in sampling_results:
        parts += [result.pos_gt_labels,
                  result.pos_gt_labels.new_full((len(result.neg_priors),), num_classes)]
    return torch.cat(parts)


def sampled_objects(sampling_results: list[SamplingResult]) -> tuple[Tensor, int]:
    """Object that each sampled RoI belongs to, (N,), 0 for background; number of objects."""
    parts, num_objects = [], 0
    for result in sampling_results:
        parts += [result.pos_assigned_gt_inds + num_objects,
                  result.pos_assigned_gt_inds.new_zeros(len(result.neg_priors))]
        num_objects += result.num_gts
    return torch.cat(parts), num_objects


def check_extra_samples(extra: ExtraSamples, augmenter: FeatureAugmenter) -> None:
    """Refuse what the classifier and the losses cannot take.

    Labels are looked at where that is free, on a CPU.

    Raises:
        ValueError: if shapes do not fit, or a label lies outside [0, C].
    """
    name, size = type(augmenter).__name__, len(extra.labels)
    if extra.feats.shape != (size, augmenter.num_feats):
        raise ValueError(f'{name} expects to give features of shape ({size}, '
                         f'{augmenter.num_feats}) with its {size} labels, got '
                         f'{tuple(extra.feats.shape)}.')
    if extra.box_targets is not None and not (
            augmenter.uses_box_targets and extra.box_targets.shape == (size, 4)):
        raise ValueError(f'{name} expects to give box targets of shape ({size}, 4), with '
                         f'uses_box_targets set, got {tuple(extra.box_targets.shape)}.')
    if extra.labels.dtype != torch.int64 or extra.total_weight is not None and not (
            extra.total_weight >= 0):
        raise ValueError(f'{name} expects to give labels of int64 and a total_weight >= 0 or None, '
                         f'got {extra.labels.dtype} and {extra.total_weight}.')
    if is_on_cpu(extra.labels) and size and not (
            0 <= extra.labels.min() and extra.labels.max() <= augmenter.num_classes):
        raise ValueError(
            f'{name} expects to give labels in [0, {augmenter.num_classes}], the number of '
            f'classes, which stands for a void sample; got {extra.labels.min()} to '
            f'{extra.labels.max()}.')


@MODELS.register_module()
class LongTailRoIHead(LongTailMixin, ScoreNMSMixin, StandardRoIHead):
    """mmdet's ``StandardRoIHead`` for long-tailed methods; see :class:`LongTailMixin`."""


@MODELS.register_module()
class LongTailCascadeRoIHead(LongTailMixin, ScoreNMSMixin, CascadeRoIHead):
    """mmdet's ``CascadeRoIHead`` for long-tailed methods; see :class:`LongTailMixin`."""


@MODELS.register_module()
class FHMRoIHead(LongTailRoIHead):
    """:class:`LongTailRoIHead` whose augmenter is BACL's feature hallucination module.

    Args:
        hallucinator: config of the :class:`~bacl.models.augmenters.FeatureHallucinator`; None
            hallucinates nothing.
        **kwargs: of ``StandardRoIHead``.
    """

    def __init__(self, hallucinator: ConfigType | None, **kwargs) -> None:
        super().__init__(augmenter=hallucinator, **kwargs)


@MODELS.register_module()
class FHMCascadeRoIHead(LongTailCascadeRoIHead):
    """:class:`LongTailCascadeRoIHead` with a feature hallucination module per stage.

    Args:
        hallucinator: config of the :class:`~bacl.models.augmenters.FeatureHallucinator`, the same
            for every stage; None hallucinates nothing.
        **kwargs: of ``CascadeRoIHead``.
    """

    def __init__(self, hallucinator: ConfigType | None, **kwargs) -> None:
        super().__init__(augmenter=hallucinator, **kwargs)
