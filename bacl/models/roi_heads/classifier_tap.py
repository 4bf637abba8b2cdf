"""A seam to mmdet's box heads: samples of the classifier that are no RoIs.

A box head computes features, logits and loss in methods that offer no place in between. Hooks on
the modules concerned, in force for the length of a ``with`` block, open that place for every head
that has ``fc_cls``, ``loss_cls`` and, if it regresses boxes, ``fc_reg`` and ``loss_bbox``, without
a copy of any of its methods.

Shapes: N sampled RoIs, S boxes, P extra samples, D inputs of the classifier, C classes.
"""
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..augmenters import ExtraSamples


@contextmanager
def inputs_of(layer: nn.Module) -> Iterator[list[Tensor]]:
    """What a layer is called with while this is in force, call by call."""
    inputs = []
    hook = layer.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    try:
        yield inputs
    finally:
        hook.remove()


class ClassifierTap:
    """Takes the features of some boxes out of a training step and puts other features in.

    In force, the head gets S boxes that are no RoIs behind the N RoIs of a batch. Their features go
    no further than to the classifier: ``exchange`` gets the features of both and gives extra
    samples, which the classifier takes in place of the boxes, with gradient to its weights. The
    losses get the extra samples behind the RoIs, weighed as :class:`ExtraSamples` say; accuracy,
    and whoever called the head, see the RoIs only. What lies before the classifier sees RoIs and
    boxes.

    Extra samples are regressed if they have box targets, in steps in which the batch has positive
    RoIs; without, mmdet's heads leave out the loss of boxes.

    Args:
        bbox_head: mmdet box head; calls ``loss_cls(cls_score, labels, weights, avg_factor=...)``.
        num_rois: N.
        exchange: features (N, D) of the RoIs and (S, D) of the boxes, without gradient, to extra
            samples.
        after_loss: called with the logits (N + P, channels), without gradient, and the labels
            (N + P,) of all samples, once their loss is computed.

    Example:
        with ClassifierTap(bbox_head, len(rois), exchange):
            cls_score, bbox_pred = bbox_head(feats_of_rois_and_boxes)  # of the RoIs
            losses = bbox_head.loss(cls_score, bbox_pred, rois, *targets)
    """

    def __init__(self, bbox_head: nn.Module, num_rois: int,
                 exchange: Callable[[Tensor, Tensor], ExtraSamples],
                 after_loss: Callable[[Tensor, Tensor], None] | None = None) -> None:
        self.bbox_head = bbox_head
        self.num_rois = num_rois
        self.exchange = exchange
        self.after_loss = after_loss

    def __enter__(self) -> 'ClassifierTap':
        """Put the hooks in force."""
        head = self.bbox_head
        with ExitStack() as hooks:  # an error leaves no hook in force
            def add(hook: RemovableHandle) -> None:
                hooks.callback(hook.remove)

            add(head.fc_cls.register_forward_pre_hook(self._exchange_feats))
            add(head.fc_cls.register_forward_hook(self._keep_logits))
            add(head.loss_cls.register_forward_pre_hook(self._extend_loss, with_kwargs=True))
            if self.after_loss is not None:
                add(head.loss_cls.register_forward_hook(self._tell_of_loss))
            if head.with_reg:
                add(head.fc_reg.register_forward_pre_hook(self._drop_boxes))
                add(head.loss_bbox.register_forward_pre_hook(self._extend_box_loss,
                                                             with_kwargs=True))
            self._hooks = hooks.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the hooks."""
        self._hooks.close()

    def _exchange_feats(self, module: nn.Module, args: tuple[Tensor]) -> Tensor:
        feats, boxes = args[0][:self.num_rois], args[0][self.num_rois:]
        self._extra = self.exchange(feats.detach(), boxes.detach())
        self._is_sample = self._extra.labels != self.bbox_head.num_classes
        return torch.cat([feats, self._extra.feats.to(feats.dtype)])

    def _keep_logits(self, module: nn.Module, args: tuple, logits: Tensor) -> Tensor:
        self._logits = logits
        return logits[:self.num_rois]

    def _drop_boxes(self, module: nn.Module, args: tuple[Tensor]) -> Tensor:
        return args[0][:self.num_rois]

    def _weigh(self, avg_factor: float | Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Weight of each extra sample (P,), and the divisor with them."""
        is_sample = self._is_sample.to(dtype)
        count = is_sample.sum()
        if self._extra.total_weight is None:
            return is_sample, avg_factor + count
        weight = self._extra.total_weight * avg_factor / count.clamp(min=1)
        return is_sample * weight, avg_factor

    def _extend_loss(self, module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        _, labels, weights = args
        extra_weights, avg_factor = self._weigh(kwargs['avg_factor'], weights.dtype)
        counts = weights.any()  # where no RoI does, nothing is to
        extra_labels = self._extra.labels.where(counts, self.bbox_head.num_classes)
        self._labels = torch.cat([labels, extra_labels])
        args = self._logits, self._labels, torch.cat([weights, extra_weights * counts])
        return args, {**kwargs, 'avg_factor': avg_factor}

    def _tell_of_loss(self, module: nn.Module, args: tuple, output: Tensor) -> None:
        self.after_loss(self._logits.detach(), self._labels)

    def _extend_box_loss(self, module: nn.Module, args: tuple,
                         kwargs: dict) -> tuple[tuple, dict] | None:
        extra, head = self._extra, self.bbox_head
        if extra.box_targets is None:
            return None
        preds, targets, weights = args
        # Not by calling the layer, on which a hook of this class sits.
        extra_preds = head.fc_reg.forward(extra.feats.to(head.fc_reg.weight.dtype))
        if not head.reg_class_agnostic:
            true_class = extra.labels.clamp(max=head.num_classes - 1)
            extra_preds = extra_preds.unflatten(1, (head.num_classes, -1))[
                torch.arange(len(true_class), device=true_class.device), true_class]
        extra_weights, avg_factor = self._weigh(kwargs['avg_factor'], weights.dtype)
        args = (torch.cat([preds, extra_preds]), torch.cat([targets, extra.box_targets]),
                torch.cat([weights, extra_weights[:, None].expand_as(extra.box_targets)]))
        return args, {**kwargs, 'avg_factor': avg_factor}
