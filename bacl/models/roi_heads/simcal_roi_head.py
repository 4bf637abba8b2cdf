"""SimCal: a second classification head, trained on classes drawn alike, that scores the tail.

Shapes: N sampled RoIs of a batch, C classes; label C is background.
"""
from collections.abc import Sequence
from os import PathLike

import torch
from mmdet.models.task_modules import SamplingResult
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.utils import ConfigType, InstanceList, reduce_mean
from mmengine.dist import get_world_size
from mmengine.model import ModuleList
from torch import Tensor, nn

from ..class_counts import ClassCounts
from .long_tail_roi_head import LongTailCascadeRoIHead, LongTailRoIHead
from .score_nms import activate


def balanced_selection(labels: Tensor, drawn: Tensor, keys: Tensor, num_classes: int) -> Tensor:
    """Samples that SimCal learns from: objects of the drawn classes, and as much background.

    Args:
        labels: (N,), int64 in [0, C].
        drawn: (N,), int64 in [0, C), the class that was drawn with the image of each sample.
        keys: (N,), random numbers: of the background those with the lowest are taken.
        num_classes: C.

    Returns:
        (N,), bool: every object of its image's class, and as many background samples as there are
        of these, or all if these are fewer.
    """
    is_object = labels == drawn
    is_background = labels == num_classes
    rank = keys.masked_fill(~is_background, torch.inf).argsort().argsort()
    return is_object | is_background & (rank < is_object.sum())


def merge_scores(scores: Tensor, calibrated: Tensor, is_tail: Tensor) -> Tensor:
    """Scores of two heads: of tail classes those of the calibrated one.

    Args:
        scores: (R, C + 1), background last.
        calibrated: (R, C + 1).
        is_tail: (C,), bool.

    Returns:
        (R, C + 1); the rows need not sum to 1.
    """
    is_tail = torch.cat([is_tail, is_tail.new_zeros(1)])
    return torch.where(is_tail, calibrated, scores)


class SimCalMixin:
    """Gives a RoI head SimCal's calibrated classification head, the only part that learns.

    ``calibration_heads`` has one for each box head, with the same layers but for the regression of
    boxes, and starts as a copy of what a checkpoint of stage 1 has of these. A batch is an episode:
    images that were drawn with a class each (:class:`~bacl.datasets.EpisodicSampler`). The head
    learns from the sampled RoIs of :func:`balanced_selection`; nothing else has a loss. In a test,
    it scores the classes with fewer than ``threshold`` training instances, see
    :func:`merge_scores`; of a cascade the logits of its stages are averaged, as mmdet does it.

    The rest is frozen: ``DecoupledTwoStageDetector(trainable=('calibration_heads',))``.

    Unlike in the official code, the background is drawn on each rank, among its own images, and
    an episode that draws a class twice trains on both of its images.

    Args:
        bbox_head: config of the box head, or heads.
        calibration_loss: config of the loss of the calibrated heads.
        threshold: number of training instances below which a class is a tail class, >= 0 (100 for
            LVIS, 400 for COCO-LT in the paper).
        copies_box_head: whether the calibrated heads start as copies; else as new layers.
        counts: see :class:`~bacl.models.class_counts.ClassCountsMixin`.
        ann_file: see there.
        **kwargs: of the host, without ``augmenter``.

    Raises:
        TypeError: if there is an augmenter or a calibrator, which would be for the box head alone.
        ValueError: if the threshold is negative.

    Reference:
        Wang et al., "The Devil is in Classification: A Simple Framework for Long-tail Instance
        Segmentation", ECCV 2020.
    """

    # A checkpoint of stage 1 has no second head.
    starts_empty = ('calibration_heads', 'class_counts.counts')

    def __init__(self, bbox_head: ConfigType | list, calibration_loss: ConfigType,
                 threshold: float, copies_box_head: bool = True,
                 counts: Sequence[int] | None = None, ann_file: str | PathLike | None = None,
                 **kwargs) -> None:
        super().__init__(bbox_head=bbox_head, **kwargs)
        name, host = type(self).__name__, type(self.bbox_heads[0]).__name__
        for part, is_there in (('augmenter', len(self.augmenters)),
                               ('calibrator', self.calibrator is not None)):
            if is_there:
                raise TypeError(f'{name}({part}=) expects None, got one: it would be for {host} '
                                'alone, whose scores are not all that count here. Leave it out.')
        if threshold < 0:
            raise ValueError(f'{name}(threshold=) expects a number >= 0, got {threshold!r}.')
        self.threshold, self.copies_box_head = threshold, copies_box_head
        cfgs = bbox_head if isinstance(bbox_head, list) else [bbox_head] * len(self.bbox_heads)
        # A box head without regression refuses to initialise it; mmdet's default does not try.
        self.calibration_heads = ModuleList(
            MODELS.build({**cfg, 'with_reg': False, 'loss_cls': calibration_loss, 'init_cfg': None})
            for cfg in cfgs)
        self.class_counts = ClassCounts(self.bbox_heads[0].num_classes, 'instance_count',
                                        counts=counts, ann_file=ann_file)
        self._drawn: list[int] = []  # of each image its class, in a training step
        self._logits: list[Tensor] | None = None  # of each stage, while it predicts

    def loss(self, x: tuple[Tensor], rpn_results_list: InstanceList,
             batch_data_samples: SampleList) -> dict:
        """Loss of the calibrated heads.

        Args:
            x: feature maps of all levels.
            rpn_results_list: proposals of each image.
            batch_data_samples: images with ``gt_instances``, ``img_shape`` and ``sampled_class``.

        Returns:
            ``loss_calibration``; of a cascade, of each stage.

        Raises:
            ValueError: if an image was not drawn with a class.
        """
        self._drawn = [sample.get('sampled_class') for sample in batch_data_samples]
        if None in self._drawn:
            raise ValueError(
                f'{type(self).__name__} expects images that were drawn with a class, got one '
                "without. Set train_dataloader.sampler=dict(type='EpisodicSampler') and "
                "train_dataloader.dataset=dict(type='ClassImagePairs', dataset=...).")
        return super().loss(x, rpn_results_list, batch_data_samples)

    def bbox_loss(self, *args) -> dict:
        """The host's results of a box head, with the loss of its calibrated head."""
        with torch.no_grad():
            results = super().bbox_loss(*args)
        loss = self.calibration_loss(args[0] if len(args) == 3 else 0, results['bbox_feats'],
                                     args[-1])
        return {**results, 'loss_bbox': dict(loss_calibration=loss)}

    def mask_loss(self, *args) -> dict:
        """No loss: masks are frozen."""
        return dict(loss_mask={})

    def calibration_loss(self, stage: int, bbox_feats: Tensor,
                         sampling_results: list[SamplingResult]) -> Tensor:
        """Mean loss over the selected samples of all ranks; 0, if there is none.

        Args:
            stage: of a cascade, else 0.
            bbox_feats: (N, channels, bins, bins).
            sampling_results: of each image.
        """
        head = self.calibration_heads[stage]
        train_cfg = self.train_cfg[stage] if isinstance(self.train_cfg, list) else self.train_cfg
        labels, weights, *_ = head.get_targets(sampling_results, train_cfg)
        drawn = torch.cat([labels.new_full((len(result.priors),), label)
                           for result, label in zip(sampling_results, self._drawn, strict=True)])
        keys = torch.rand(len(labels), device=labels.device)
        weights = weights * balanced_selection(labels, drawn, keys, head.num_classes)
        # Two selected samples on one rank only are 2 / W in the mean of W ranks.
        num_samples = reduce_mean(weights.sum()).clamp(min=1 / get_world_size())
        cls_score, _ = head(bbox_feats)
        return head.loss_cls(cls_score, labels, weights, avg_factor=num_samples)

    def _bbox_forward(self, *args, **kwargs) -> dict:
        results = super()._bbox_forward(*args, **kwargs)
        if self._logits is not None:
            stage = len(self._logits)
            self._logits.append(self.calibration_heads[stage](results['bbox_feats'])[0])
        return results

    def predict_candidates(self, *args, **kwargs) -> InstanceList:
        """See :meth:`.ScoreNMSMixin.predict_candidates`; with the scores of both heads."""
        self._logits = []
        try:
            candidates = super().predict_candidates(*args, **kwargs)
            stages = self._logits
        finally:
            self._logits = None
        if stages:  # none if there is no RoI
            calibrated = activate(self.calibration_heads[-1], sum(stages) / len(stages))
            is_tail = self.class_counts.known_counts() < self.threshold
            for image, scores in zip(
                    candidates, calibrated.split([len(image) for image in candidates]),
                    strict=True):
                image.scores = merge_scores(image.scores, scores, is_tail)
        return candidates

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        if self.copies_box_head:
            is_cascade = isinstance(self.bbox_head, nn.ModuleList)
            for name, value in self.calibration_heads.state_dict().items():
                source = state_dict.get(
                    f'{prefix}bbox_head.{name if is_cascade else name.partition(".")[2]}')
                if source is not None and source.shape == value.shape:
                    state_dict.setdefault(f'{prefix}calibration_heads.{name}', source)
        super()._load_from_state_dict(state_dict, prefix, *args)


@MODELS.register_module()
class SimCalRoIHead(SimCalMixin, LongTailRoIHead):
    """mmdet's ``StandardRoIHead`` with a calibrated head; see :class:`SimCalMixin`."""


@MODELS.register_module()
class SimCalCascadeRoIHead(SimCalMixin, LongTailCascadeRoIHead):
    """mmdet's ``CascadeRoIHead`` with calibrated heads; see :class:`SimCalMixin`."""
