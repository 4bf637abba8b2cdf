"""The RoI head of CLIS: an image classifier beside the detector, and what keeps both consistent.

Shapes: M coarse boxes and K pairs of a batch, D inputs of the classifier, C classes.
"""
import torch
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi, get_box_tensor
from mmdet.utils import ConfigType, InstanceList
from torch import Tensor, nn

from .classifier_tap import inputs_of
from .clis_bbox_head import copy_stack
from .image_supervised_roi_head import check_classifies_once, largest_proposals
from .iterative_bbox_head import two_layers
from .long_tail_roi_head import LongTailRoIHead


@MODELS.register_module()
class CLISRoIHead(LongTailRoIHead):
    """A RoI head that learns to classify image-level pictures with the layers that detect.

    - *Image classification*: the features of a picture's coarse box pass the classification stack
      of the box head, which detection shares, and a linear classifier of their own, ``fc_im``.
    - *Consistency*: a region that was pasted into a detection image (samples with a ``pair_id``,
      see :func:`~bacl.datasets.paste_image_level_regions`) is seen twice, as an object there and in
      its picture. What the stack makes of both passes a perceptron, ``projection``, and a
      contrastive loss.

    Both are for training only: a detector without these layers predicts the same. They are computed
    in every step of every rank, over no boxes if there are none. It is for
    :class:`~bacl.models.detectors.ImageSupervisedDetector`; with :class:`.CLISBBoxHead` the stack
    is that of classification alone.

    Stated in the paper are a siamese sub-network for image classification, and a contrastive
    regularisation. Its figure shows what the losses are computed of, a classifier for either task,
    and perceptrons. Inferred are all losses and weights, that both sides have one perceptron, and
    its sizes.

    Args:
        image_loss: config of the loss of image classification,
            ``loss(logits (M, C), labels, weights, avg_factor=)``; None has none.
        contrastive_loss: config of the loss of pairs, such as
            ``dict(type='ContrastivePairLoss')``; None has none.
        shares_stack: False gives image classification layers of its own, of the same sizes; of a
            box head of linear layers alone.
        box_rule: where a picture is classified: 'coarse', on its coarse box; 'largest', on the
            largest proposal in it (:func:`.largest_proposals`). That is another region than the
            one that was pasted, so it goes without ``contrastive_loss``.
        embed_dims: E, channels behind the perceptron.
        **kwargs: of :class:`.LongTailRoIHead`.

    Raises:
        TypeError: if the box head has no ``fc_cls``, or runs it several times.
        ValueError: if ``box_rule`` is another, or 'largest' with a contrastive loss; if there can
            be no layers of its own, or no loss that they learn from; if the loss of image
            classification has other channels than the C classes.

    Reference:
        Li et al., "Improving Long-tailed Object Detection with Image-Level Supervision by
        Multi-Task Collaborative Learning", arXiv 2210.05568 (CLIS), whose code was not published.
    """

    needs_teacher = False
    training_layers = ('fc_im', 'projection', 'image_fcs')

    def __init__(self, image_loss: ConfigType | None, contrastive_loss: ConfigType | None, *,
                 shares_stack: bool = True, box_rule: str = 'coarse', embed_dims: int = 128,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        if box_rule not in ('coarse', 'largest'):
            raise ValueError("CLISRoIHead(box_rule=) expects 'coarse' or 'largest', got "
                             f'{box_rule!r}.')
        if box_rule == 'largest' and contrastive_loss is not None:
            raise ValueError("CLISRoIHead(box_rule='largest') expects no contrastive_loss, which "
                             "is of one region seen twice. Choose 'coarse', or None for the loss.")
        head = self.bbox_head
        check_classifies_once(head, 'CLISRoIHead')
        self.box_rule = box_rule
        num_feats = head.fc_cls.in_features
        self.image_fcs: nn.ModuleList | None = None
        if not shares_stack:
            if image_loss is None and contrastive_loss is None:
                raise ValueError('CLISRoIHead(shares_stack=False) expects an image_loss or a '
                                 'contrastive_loss, or its layers would learn nothing.')
            if head.num_shared_convs or head.num_cls_convs or head.with_avg_pool:
                raise ValueError('CLISRoIHead(shares_stack=False) expects a box head whose '
                                 'classifier has linear layers alone before it, got one with '
                                 'convolutions or pooling.')
            sizes = [head.in_channels * head.roi_feat_area] + [head.fc_out_channels] * (
                head.num_shared_fcs + head.num_cls_fcs)
            self.image_fcs = nn.ModuleList(map(nn.Linear, sizes, sizes[1:]))
        self.image_loss = self.fc_im = None
        if image_loss is not None:
            self.image_loss = MODELS.build(image_loss)
            channels = head.num_classes
            if hasattr(self.image_loss, 'get_cls_channels'):
                channels = self.image_loss.get_cls_channels(head.num_classes)
            if channels != head.num_classes:
                raise ValueError(
                    f'CLISRoIHead(image_loss=) expects a loss of {head.num_classes} classes, got '
                    f'{type(self.image_loss).__name__}, which has {channels} channels. Pictures '
                    'have no background: use SigmoidBCELoss, or CrossEntropyLoss of '
                    'mmdet.')
            self.fc_im = nn.Linear(num_feats, head.num_classes)
        self.contrastive_loss = self.projection = None
        if contrastive_loss is not None:
            self.contrastive_loss = MODELS.build(contrastive_loss)
            self.projection = two_layers(num_feats, num_feats, embed_dims)
        self._pasted: tuple[list[int], Tensor] | None = None  # pairs and features, in a step

    @property
    def needs_proposals(self) -> bool:
        """Whether :meth:`image_level_loss` is to get the proposals of image-level data."""
        return self.box_rule == 'largest'

    def init_weights(self) -> None:
        """Initialise what is ours; the image classifier so that it starts without preference.

        It is new where the stack may be trained, and should not begin with changing that.
        """
        super().init_weights()
        for layer in self.image_fcs or ():
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        if self.fc_im is not None:
            nn.init.normal_(self.fc_im.weight, std=0.001)
            nn.init.zeros_(self.fc_im.bias)

    def loss(self, x: tuple[Tensor], rpn_results_list: InstanceList,
             batch_data_samples: SampleList) -> dict:
        """The host's losses; :meth:`image_level_loss` is to be called behind it.

        Args:
            x: feature maps of all levels.
            rpn_results_list: proposals of each image.
            batch_data_samples: of the images; the last object of one with a ``pair_id`` was pasted.
        """
        losses = super().loss(x, rpn_results_list, batch_data_samples)
        if self.contrastive_loss is not None:
            boxes = [get_box_tensor(sample.gt_instances.bboxes) for sample in batch_data_samples]
            pasted = [image[-1:] if 'pair_id' in sample else image[:0]
                      for image, sample in zip(boxes, batch_data_samples, strict=True)]
            pair_ids = [sample.pair_id for sample in batch_data_samples if 'pair_id' in sample]
            self._pasted = pair_ids, self._class_feats(x, pasted)[0]
        return losses

    def image_level_loss(self, x: tuple[Tensor], batch_data_samples: SampleList,
                         proposals: list[Tensor]) -> dict:
        """Losses of image classification and of pairs.

        Args:
            x: feature maps of all images.
            batch_data_samples: of all images; ``gt_instances`` are the coarse boxes, none for an
                image with boxes of objects. A label -1 is none.
            proposals: of each image, (P, 4); none if :attr:`needs_proposals` is False.

        Returns:
            ``loss_image_label`` and ``loss_contrastive``, as far as they are switched on.
        """
        losses = {}
        if self.image_loss is None and self.contrastive_loss is None:
            return losses
        instances = [sample.gt_instances for sample in batch_data_samples]
        boxes = [largest_proposals(get_box_tensor(gt.bboxes), of_image)
                 for gt, of_image in zip(instances, proposals, strict=True)]
        labels = torch.cat([gt.labels for gt in instances])
        feats, roi_feats = self._class_feats(x, boxes)
        if self.image_fcs is not None:
            feats = roi_feats.flatten(1)
            for layer in self.image_fcs:
                feats = layer(feats).relu()
        if self.image_loss is not None:
            is_labelled = labels >= 0
            losses['loss_image_label'] = self.image_loss(
                self.fc_im(feats), labels.clamp(min=0), is_labelled.to(feats),
                avg_factor=is_labelled.sum().clamp(min=1))
        if self.contrastive_loss is not None:
            (pair_ids, pasted), self._pasted = self._pasted, None
            rows = rows_of_pairs(batch_data_samples, pair_ids)
            losses['loss_contrastive'] = self.contrastive_loss(
                self.projection(pasted), self.projection(take_rows(feats, rows)),
                take_rows(labels, rows))
        return losses

    def _class_feats(self, x: tuple[Tensor], boxes: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Of boxes the inputs of the classifier, (M, D), and of the box head."""
        with inputs_of(self.bbox_head.fc_cls) as inputs:
            results = self._bbox_forward(x, bbox2roi(boxes))
        return inputs[0], results['bbox_feats']

    def adapt_weights(self, state_dict: dict, prefix: str) -> None:
        """Let own layers for image classification start as the shared ones of a detector.

        Args:
            state_dict: of the checkpoint; changed in place.
            prefix: of the names of this head in it.
        """
        if self.image_fcs is not None:
            copy_stack(state_dict, f'{prefix}bbox_head.shared_fcs.', f'{prefix}image_fcs.',
                       self.image_fcs)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        self.adapt_weights(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)


def rows_of_pairs(samples: SampleList, pair_ids: list[int]) -> list[int]:
    """Which of the coarse boxes of a batch, one after the other, are partners.

    Args:
        samples: of all images; those with coarse boxes may have a ``pair_id``, which says it of
            the first of them.
        pair_ids: of the pairs, in the order that is wanted.
    """
    rows, start = {}, 0
    for sample in samples:
        num_boxes = len(sample.gt_instances)
        if num_boxes and 'pair_id' in sample:
            rows[sample.pair_id] = start
        start += num_boxes
    return [rows[pair_id] for pair_id in pair_ids]


def take_rows(values: Tensor, rows: list[int]) -> Tensor:
    """``values[rows]``, without an index that would have to travel to a GPU."""
    return torch.cat([values[:0], *(values[row:row + 1] for row in rows)])
