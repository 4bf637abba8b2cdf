"""A seam to mmdet's box heads: rows of the classifier that are no RoIs.

A box head computes features, logits and loss in methods that offer no place in between. Hooks on
the modules concerned, in force for the length of a ``with`` block, open that place for every head
that has ``fc_cls``, ``loss_cls`` and, if it regresses boxes, ``fc_reg``, without a copy of any of
its methods.
"""
from collections.abc import Callable

import torch
from torch import Tensor, nn


class ClassifierTap:
    """Takes the features of some boxes out of a training step and puts other features in.

    In force, the head gets boxes that are no RoIs behind the ``num_rois`` RoIs of a batch. Their
    features go no further than to the classifier: ``exchange`` gets them and gives the features of
    additional samples, which the classifier takes in their place, with gradient to its weights. The
    classification loss gets the additional samples with weight 1, or 0 if their label is the
    background; they count in its divisor accordingly. Box regression, accuracy, and whoever called
    the head see the RoIs only; what lies before the classifier sees the boxes, too.

    Args:
        bbox_head: mmdet box head with C classes; calls
            ``loss_cls(cls_score, labels, weights, avg_factor=...)``.
        exchange: features (S, D) of the boxes, without gradient, to features (P, D) and labels
            (P,), int64 in [0, C], of the samples.

    Attributes:
        num_rois: to be set before the head runs.

    Example:
        with ClassifierTap(bbox_head, exchange) as tap:
            tap.num_rois = len(rois)
            cls_score, bbox_pred = bbox_head(feats_of_rois_and_boxes)  # of the RoIs
            losses = bbox_head.loss(cls_score, bbox_pred, rois, *targets)
    """

    def __init__(self, bbox_head: nn.Module,
                 exchange: Callable[[Tensor], tuple[Tensor, Tensor]]) -> None:
        self.bbox_head = bbox_head
        self.exchange = exchange

    def __enter__(self) -> 'ClassifierTap':
        """Put the hooks in force."""
        head = self.bbox_head
        # Before any hook is in force, which an error would leave there.
        regressors = [head.fc_reg] if head.with_reg else []
        self._hooks = [
            head.fc_cls.register_forward_pre_hook(self._exchange_feats),
            head.fc_cls.register_forward_hook(self._keep_logits),
            head.loss_cls.register_forward_pre_hook(self._extend_loss, with_kwargs=True),
            *(regressor.register_forward_pre_hook(self._drop_boxes) for regressor in regressors),
        ]
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the hooks."""
        for hook in self._hooks:
            hook.remove()

    def _exchange_feats(self, module: nn.Module, args: tuple[Tensor]) -> Tensor:
        feats, box_feats = args[0][:self.num_rois], args[0][self.num_rois:]
        extra, self._labels = self.exchange(box_feats.detach())
        return torch.cat([feats, extra.to(feats.dtype)])

    def _keep_logits(self, module: nn.Module, args: tuple, logits: Tensor) -> Tensor:
        self._logits = logits
        return logits[:self.num_rois]

    def _drop_boxes(self, module: nn.Module, args: tuple[Tensor]) -> Tensor:
        return args[0][:self.num_rois]

    def _extend_loss(self, module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        _, labels, weights = args
        counts = (self._labels != self.bbox_head.num_classes).to(weights.dtype)
        args = (self._logits, torch.cat([labels, self._labels]), torch.cat([weights, counts]))
        return args, {**kwargs, 'avg_factor': kwargs['avg_factor'] + counts.sum()}
