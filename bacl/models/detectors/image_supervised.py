"""A two-stage detector that learns from images without boxes beside detection data."""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from mmdet.models.detectors import TwoStageDetector
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, SampleList
from mmdet.utils import ConfigType
from torch import Tensor, nn

from .taught import TaughtMixin, is_coarse, times_zero


def without_boxes(sample: DetDataSample) -> DetDataSample:
    """A sample with the same meta data, of which no box is left."""
    empty = DetDataSample(metainfo=sample.metainfo)
    empty.gt_instances = sample.gt_instances[:0]
    return empty


@contextmanager
def without_weight(losses: Sequence[nn.Module]) -> Iterator[None]:
    """Let classification losses count none of the samples that a box head gives them.

    What a loss learns from training it then learns from none of them, but takes part in its sums
    over ranks.
    """
    hooks = [loss.register_forward_pre_hook(
        lambda module, args: (*args[:2], args[2] * 0, *args[3:])) for loss in losses]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@MODELS.register_module()
class ImageSupervisedDetector(TaughtMixin, TwoStageDetector):
    """Any two-stage detector (Faster, Cascade R-CNN, CenterNet2), with image-level supervision.

    Images that say a ``source`` in their meta data have coarse boxes, by rule and not by hand
    (:class:`~bacl.datasets.LoadCoarseBox`). They take part in what the RoI head has for them, as
    the losses of soft labels and of image labels
    (:class:`~bacl.models.roi_heads.ImageSupervisionMixin`,
    :class:`~bacl.models.roi_heads.CLISRoIHead`), in no other loss: not in those of the RPN and of
    RoIs. A batch may have images of either kind, or of one. If it has none with boxes of objects,
    their losses are computed all the same, without objects, and multiplied by 0: every rank has the
    same losses in every step.

    Args:
        teacher: of :class:`.taught.TaughtMixin`.
        **kwargs: of ``TwoStageDetector``.

    Raises:
        TypeError: if the RoI head has no ``image_level_loss``, or has masks.

    Reference:
        Meng et al., NeurIPS 2023 (RichSem); Zhou et al., ECCV 2022 (Detic); Li et al., arXiv
        2210.05568 (CLIS). On its DETR RichSem lets coarse boxes count as objects for all losses;
        here, as in Detic, they are none.
    """

    def __init__(self, *args, teacher: ConfigType | None = None, **kwargs) -> None:
        super().__init__(*args, teacher=teacher, **kwargs)
        if not hasattr(self.roi_head, 'image_level_loss'):
            raise TypeError('ImageSupervisedDetector(roi_head=) expects an ImageSupervisedRoIHead, '
                            'ImageSupervisedCascadeRoIHead or CLISRoIHead, got '
                            f'{type(self.roi_head).__name__}.')
        if self.with_mask:
            raise TypeError('ImageSupervisedDetector(roi_head=) expects a head without masks, '
                            'which images without boxes do not have. Leave mask_head out.')

    def extract_feat(self, batch_inputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Feature maps of images; those that are feature maps already stay."""
        return batch_inputs if isinstance(batch_inputs, tuple) else super().extract_feat(
            batch_inputs)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict:
        """The host's losses of images with boxes of objects, and those of image-level data.

        Args:
            batch_inputs: (B, 3, H, W).
            batch_data_samples: of the images.

        Raises:
            RuntimeError: if there should be a teacher and :meth:`set_class_counts` was not called.
        """
        self.check_teacher()
        if self.roi_head.needs_teacher:
            self.add_teacher_logits(batch_inputs, batch_data_samples)
        x = self.extract_feat(batch_inputs)
        losses = self._object_losses(x, batch_data_samples)
        coarse = [sample if is_coarse(sample) else without_boxes(sample)
                  for sample in batch_data_samples]
        return losses | self.roi_head.image_level_loss(x, coarse, self._proposals(x, coarse))

    def _object_losses(self, x: tuple[Tensor, ...], samples: SampleList) -> dict:
        """The host's losses of the images with boxes of objects; 0 if there are none."""
        chosen = [index for index, sample in enumerate(samples) if not is_coarse(sample)]
        if len(chosen) == len(samples):
            return super().loss(x, samples)
        if chosen:
            return super().loss(tuple(maps[chosen] for maps in x),
                                [samples[index] for index in chosen])
        classifier_losses = [head.loss_cls for head in self.roi_head.bbox_heads]
        with without_weight(classifier_losses):
            losses = super().loss(x, [without_boxes(sample) for sample in samples])
        return times_zero(losses)

    @torch.no_grad()
    def _proposals(self, x: tuple[Tensor, ...], coarse: SampleList) -> list[Tensor]:
        """Proposals of each image with coarse boxes, (P, 4); none of the others, or for nobody."""
        proposals = [sample.gt_instances.bboxes[:0] for sample in coarse]
        chosen = [index for index, sample in enumerate(coarse) if len(sample.gt_instances)]
        if chosen and self.roi_head.needs_proposals:
            cfg = self.train_cfg.get('rpn_proposal', self.test_cfg.rpn)
            results = self.rpn_head.predict_by_feat(
                *self.rpn_head(tuple(maps[chosen] for maps in x)), rescale=False, cfg=cfg,
                batch_img_metas=[coarse[index].metainfo for index in chosen])
            for index, result in zip(chosen, results, strict=True):
                proposals[index] = result.bboxes
        return proposals
