"""The head of DINO with RichSem's classifier and semantic branch.

Shapes: B images, Q queries (denoising ones first), D their dimensions, G boxes, C classes.
"""
import torch
from mmdet.models.dense_heads import DINOHead
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmdet.utils import ConfigType, InstanceList, reduce_mean
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ..semantics import soft_label_loss


@MODELS.register_module()
class RichSemDINOHead(DINOHead):
    """mmdet's ``DINOHead`` with shared layers and a semantic branch.

    - All layers of the decoder share one classifier and one box regressor; the encoder has its own.
    - The classifier is, if ``text_classifier`` is given, a
      :class:`~bacl.models.predictors.TextCosineLinear`.
    - The semantic branch learns the soft labels of the boxes that queries of the last layer are
      matched to, and those of the denoising queries. It is used in training only.

    Coarse boxes with a label count as objects in all losses, as in the official code. An image of
    which a box has none (label -1) has losses of soft labels alone, matched by boxes; so has a
    mosaic with one such picture, whose other labels then teach nothing. If all of a batch are such,
    the other losses are computed all the same, without objects, and multiplied by 0: every rank has
    the same losses and divisors in every step.

    Args:
        text_classifier: config of the classifier, ``dict(type='TextCosineLinear', ...)``; None is
            the host's linear one.
        semantic_branch: config of the branch, likewise; None has none.
        soft_label_weight: factor of the losses of soft labels, >= 0.
        **kwargs: of ``DINOHead``.

    Raises:
        ValueError: if the weight is negative.

    Reference:
        Meng et al., "Learning from Rich Semantics and Coarse Locations for Long-tailed Object
        Detection", NeurIPS 2023 (RichSem).
    """

    training_layers = ('semantic_branch',)

    def __init__(self, *args, text_classifier: ConfigType | None = None,
                 semantic_branch: ConfigType | None = None, soft_label_weight: float = 0.5,
                 **kwargs) -> None:
        if soft_label_weight < 0:
            raise ValueError('RichSemDINOHead(soft_label_weight=) expects a number >= 0, got '
                             f'{soft_label_weight!r}.')
        self._predictors = text_classifier, semantic_branch
        self.soft_label_weight = soft_label_weight
        super().__init__(*args, **kwargs)

    def _init_layers(self) -> None:
        super()._init_layers()
        text_classifier, semantic_branch = self._predictors
        num_shared = self.num_pred_layer - 1  # the last one is the encoder's
        sizes = dict(in_features=self.embed_dims, out_features=self.cls_out_channels)
        classifiers = [self.cls_branches[0], self.cls_branches[-1]]
        if text_classifier is not None:
            classifiers = [MODELS.build(text_classifier, default_args=sizes) for _ in range(2)]
        regressors = self.reg_branches[0], self.reg_branches[-1]
        self.cls_branches, self.reg_branches = (
            nn.ModuleList([decoder] * num_shared + [encoder])
            for decoder, encoder in (classifiers, regressors))
        self.semantic_branch = None if semantic_branch is None else MODELS.build(
            semantic_branch, default_args=sizes)

    def loss(self, hidden_states: Tensor, references: list[Tensor], enc_outputs_class: Tensor,
             enc_outputs_coord: Tensor, batch_data_samples: SampleList, dn_meta: dict) -> dict:
        """The host's losses, and ``loss_soft_label`` and ``dn_loss_soft_label``.

        Args:
            hidden_states: (layers, B, Q, D).
            references: of the decoder.
            enc_outputs_class: of the encoder.
            enc_outputs_coord: of the encoder.
            batch_data_samples: with a semantic branch, ``gt_instances`` have ``teacher_logits``.
            dn_meta: of the denoising queries.
        """
        instances = [sample.gt_instances for sample in batch_data_samples]
        metas = [sample.metainfo for sample in batch_data_samples]
        is_labelled = have_labels(batch_data_samples)
        scores, boxes = self(hidden_states, references)
        # Of images with labels, or, if there are none, of all, without their boxes.
        chosen = [index for index, known in enumerate(is_labelled) if known]
        counts = bool(chosen)
        chosen = chosen or list(range(len(instances)))
        predictions = scores, boxes, enc_outputs_class, enc_outputs_coord
        if len(chosen) < len(instances):  # or all logits would be copied
            predictions = scores[:, chosen], boxes[:, chosen], *(
                of_encoder[chosen] for of_encoder in predictions[2:])
        losses = self.loss_by_feat(
            *predictions,
            [instances[index] if counts else instances[index][:0] for index in chosen],
            [metas[index] for index in chosen], dn_meta)
        if not counts:
            losses = {name: value * 0 for name, value in losses.items()}
        if self.semantic_branch is not None:
            num_dn = dn_meta['num_denoising_queries']
            matched = self._matched(scores[-1, :, num_dn:], boxes[-1, :, num_dn:], instances,
                                    metas, is_labelled)
            losses['loss_soft_label'] = self._soft_label_loss(
                hidden_states[-1][:, num_dn:], instances, matched)
            losses['dn_loss_soft_label'] = self._soft_label_loss(
                hidden_states[-1][:, :num_dn], instances,
                [denoising_pairs(len(gt), dn_meta, gt.labels.device) for gt in instances])
        return losses

    def _matched(self, scores: Tensor, boxes: Tensor, instances: InstanceList,
                 metas: list[dict], is_labelled: list[bool]) -> list[tuple[Tensor, Tensor]]:
        """Of each image, positions of matched queries and of their boxes."""
        pairs = []
        for score, box, gt, meta, known in zip(scores, boxes, instances, metas, is_labelled,
                                               strict=True):
            height, width = meta['img_shape'][:2]
            predicted = InstanceData(
                scores=score if known else torch.zeros_like(score),  # matched by boxes alone
                bboxes=bbox_cxcywh_to_xyxy(box) * box.new_tensor([width, height, width, height]))
            assigned = self.assigner.assign(pred_instances=predicted, gt_instances=gt,
                                            img_meta=meta).gt_inds
            query = (assigned > 0).nonzero().flatten()
            pairs.append((query, assigned[query] - 1))
        return pairs

    def _soft_label_loss(self, hidden: Tensor, instances: InstanceList,
                         pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
        feats = torch.cat([of_image[query] for of_image, (query, _) in zip(hidden, pairs,
                                                                           strict=True)])
        targets = torch.cat([gt.teacher_logits[index]
                             for gt, (_, index) in zip(instances, pairs, strict=True)])
        num_boxes = reduce_mean(feats.new_full((), len(feats), dtype=torch.float32))
        return self.soft_label_weight * soft_label_loss(
            self.semantic_branch(feats), targets, num_boxes.clamp(min=1))


def have_labels(samples: SampleList) -> list[bool]:
    """Of each image whether all of its boxes have a label; those without a source always have.

    Labels are looked at once for the whole batch, and where there are sources alone.
    """
    coarse = [sample.gt_instances.labels for sample in samples if sample.get('source') is not None]
    labels = iter(torch.cat(coarse).cpu().split(list(map(len, coarse))) if coarse else ())
    return [sample.get('source') is None or bool((next(labels) >= 0).all()) for sample in samples]


def with_any_labels(instances: InstanceData, num_classes: int) -> InstanceData:
    """Boxes with a label drawn at random for -1, for what cannot be without one.

    Args:
        instances: with ``bboxes`` and ``labels``.
        num_classes: labels are drawn below it.
    """
    labels = instances.labels
    drawn = torch.randint_like(labels, num_classes)
    return InstanceData(bboxes=instances.bboxes, labels=torch.where(labels < 0, drawn, labels))


def denoising_pairs(num_boxes: int, dn_meta: dict, device: torch.device) -> tuple[Tensor, Tensor]:
    """Positions of the positive denoising queries of an image, and of the boxes they are made from.

    Args:
        num_boxes: G, of the image.
        dn_meta: with ``num_denoising_queries`` and ``num_denoising_groups``; a group has as many
            positives as negatives, the positives first.
        device: of the positions.
    """
    group_size = dn_meta['num_denoising_queries'] // max(dn_meta['num_denoising_groups'], 1)
    box = torch.arange(num_boxes, device=device)
    group = torch.arange(dn_meta['num_denoising_groups'], device=device)
    return (group[:, None] * group_size + box).flatten(), box.repeat(len(group))
