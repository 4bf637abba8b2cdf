"""The box head of CLIS: a stack of layers for each task, and objectness.

Shapes: N RoIs, K channels of features of S x S bins, C classes.
"""
import torch
import torch.nn.functional as F
from bacl.ops import promoted
from mmdet.models.roi_heads.bbox_heads import ConvFCBBoxHead
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from mmengine.structures import InstanceData
from torch import Tensor, nn

from .classifier_tap import inputs_of
from .score_nms import detect


@MODELS.register_module()
class CLISBBoxHead(ConvFCBBoxHead):
    """mmdet's ``ConvFCBBoxHead``, whose localisation stack also says whether there is an object.

    Classification and localisation have fully connected layers of their own (``cls_fcs``,
    ``reg_fcs``). With ``p`` the scores of the classification loss and ``o`` the logit of
    objectness, the score of a class is::

        sigmoid(o) * p_c

    Objectness learns from all RoIs whether they are foreground, by binary cross entropy. The
    classification loss is any with one classifier.

    From a checkpoint of a detector with shared layers, such as ``Shared2FCBBoxHead``, both stacks
    start as these. If its classifier has C + 1 channels and this one C, the last is taken for the
    background of an ``ObjectnessBCELoss``, and objectness starts as its opposite: then the head
    starts with the predictions of that detector. (A checkpoint does not tell its loss; from a
    softmax it is a start like another.)

    Stated in the paper are sub-networks for either task; its figure shows two layers each, and that
    localisation has an objectness loss. Inferred are the form and the weight of this loss, and the
    product of scores.

    Args:
        num_cls_fcs: layers of the classification stack.
        num_reg_fcs: layers of the localisation stack.
        objectness_weight: factor of the loss of objectness, >= 0.
        init_cfg: see the host; objectness is initialised as mmdet initialises a classifier.
        **kwargs: of ``ConvFCBBoxHead``; ``num_shared_fcs=2, num_cls_fcs=0, num_reg_fcs=0`` is one
            stack for both.

    Raises:
        ValueError: if the weight is negative.
        TypeError: if the head does not both classify and regress boxes.

    Reference:
        Li et al., "Improving Long-tailed Object Detection with Image-Level Supervision by
        Multi-Task Collaborative Learning", arXiv 2210.05568 (CLIS), whose code was not published.
    """

    def __init__(self, *, num_cls_fcs: int = 2, num_reg_fcs: int = 2,
                 objectness_weight: float = 1.0, init_cfg: ConfigType | list | None = None,
                 **kwargs) -> None:
        super().__init__(num_cls_fcs=num_cls_fcs, num_reg_fcs=num_reg_fcs, init_cfg=init_cfg,
                         **kwargs)
        if not (self.with_cls and self.with_reg):
            raise TypeError('CLISBBoxHead(with_cls=, with_reg=) expects both, got '
                            f'{self.with_cls} and {self.with_reg}. Leave them out.')
        if not objectness_weight >= 0:
            raise ValueError('CLISBBoxHead(objectness_weight=) expects a number >= 0, got '
                             f'{objectness_weight!r}.')
        self.objectness_weight = objectness_weight
        self.fc_obj = nn.Linear(self.reg_last_dim, 1)
        cfgs = self.init_cfg if isinstance(self.init_cfg, list) else [self.init_cfg]
        self.init_cfg = [*cfgs, dict(type='Normal', std=0.01, override=dict(name='fc_obj'))]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, channels + 1), objectness last, and box deltas (N, 4).

        Args:
            x: RoI features (N, K, S, S).
        """
        with inputs_of(self.fc_reg) as inputs:
            logits, deltas = super().forward(x)
        return torch.cat([logits, self.fc_obj(inputs[0])], dim=1), deltas

    def get_scores(self, cls_score: Tensor) -> Tensor:
        """(N, channels + 1) logits to (N, C + 1) scores in [0, 1], background last.

        The background has what objectness and classification leave of 1.
        """
        logits, is_object = cls_score[:, :-1], promoted(cls_score[:, -1:]).sigmoid()
        scores = self.loss_cls.get_activation(logits) if self.custom_cls_channels else \
            logits.softmax(dim=-1)
        return torch.cat([is_object * scores[:, :-1], 1 - is_object * (1 - scores[:, -1:])], dim=1)

    def loss(self, cls_score: Tensor, bbox_pred: Tensor, rois: Tensor, labels: Tensor,
             label_weights: Tensor, *args, **kwargs) -> dict:
        """The host's losses, and ``loss_objectness``.

        Args:
            cls_score: (N, channels + 1), objectness last.
            bbox_pred: (N, 4).
            rois: (N, 5).
            labels: (N,), int64 in [0, C]; C is background.
            label_weights: (N,), weight of each RoI.
            *args: see the host.
            **kwargs: see the host.
        """
        losses = super().loss(cls_score[:, :-1], bbox_pred, rois, labels, label_weights, *args,
                              **kwargs)
        logits = promoted(cls_score[:, -1])
        errors = F.binary_cross_entropy_with_logits(
            logits, (labels < self.num_classes).to(logits), label_weights.to(logits),
            reduction='sum')
        num_rois = (label_weights > 0).sum().clamp(min=1)
        return {**losses, 'loss_objectness': self.objectness_weight * errors / num_rois}

    def _predict_by_feat_single(self, roi: Tensor, cls_score: Tensor, bbox_pred: Tensor,
                                img_meta: dict, rescale: bool = False,
                                rcnn_test_cfg: ConfigType | None = None) -> InstanceData:
        candidates = super()._predict_by_feat_single(roi, cls_score[:, :-1], bbox_pred, img_meta,
                                                     rescale)
        if len(roi):
            candidates.scores = self.get_scores(cls_score)
        return candidates if rcnn_test_cfg is None else detect(candidates, rcnn_test_cfg)

    def adapt_weights(self, state_dict: dict, prefix: str) -> None:
        """Make of the weights of a detector with shared layers those of this head.

        Args:
            state_dict: of the checkpoint; changed in place.
            prefix: of the names of this head in it.
        """
        for stack in ('cls_fcs', 'reg_fcs'):
            copy_stack(state_dict, f'{prefix}shared_fcs.', f'{prefix}{stack}.',
                       getattr(self, stack))
        if not self.shared_fcs:
            for name in [name for name in state_dict if name.startswith(f'{prefix}shared_fcs.')]:
                del state_dict[name]
        for part in ('weight', 'bias'):
            rows = state_dict.get(f'{prefix}fc_cls.{part}')
            if rows is not None and f'{prefix}fc_obj.{part}' not in state_dict and \
                    len(rows) - 1 == self.num_classes == getattr(self.fc_cls, 'out_features', 0):
                state_dict[f'{prefix}fc_cls.{part}'] = rows[:-1]
                state_dict[f'{prefix}fc_obj.{part}'] = -rows[-1:]

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        self.adapt_weights(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)


def copy_stack(state_dict: dict, source: str, target: str, layers: nn.ModuleList) -> None:
    """Let layers that a checkpoint lacks start as others that it has.

    Args:
        state_dict: of the checkpoint; changed in place.
        source: prefix of the names of the layers that it has.
        target: prefix of the names of those that it may lack.
        layers: these. A tensor of another shape is not copied.
    """
    for name, value in layers.state_dict().items():
        given = state_dict.get(source + name)
        if given is not None and given.shape == value.shape:
            state_dict.setdefault(target + name, given)
