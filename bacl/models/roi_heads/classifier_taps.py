"""Two seams to mmdet's box heads: what enters the classifier, and what its loss sees.

A box head computes features, logits and loss in methods that offer no place in between. Hooks on
the two modules concerned, in force for the length of a ``with`` block, open that place for every
head that has ``fc_cls`` and ``loss_cls``, without a copy of any of its methods.
"""
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def classifier_inputs(bbox_head: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the features that enter ``bbox_head.fc_cls``.

    Yields:
        A list to which each forward pass of the head appends its (N, D) features.
    """
    collected = []
    handle = bbox_head.fc_cls.register_forward_pre_hook(
        lambda module, args: collected.append(args[0]))
    try:
        yield collected
    finally:
        handle.remove()


@contextmanager
def extra_loss_samples(bbox_head: nn.Module, feats: Tensor, labels: Tensor) -> Iterator[None]:
    """Let ``bbox_head.loss_cls`` see samples that are features rather than RoIs.

    They are classified by the head's own ``fc_cls`` with gradient, get weight 1 and count in the
    divisor of the loss. Box regression and accuracy do not see them.

    Args:
        bbox_head: mmdet box head; calls ``loss_cls(cls_score, labels, weights, avg_factor=...)``.
        feats: (P, D); P may be 0.
        labels: (P,), int64 in [0, C).
    """

    def append(module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        cls_score, roi_labels, weights = args
        args = (torch.cat([cls_score, bbox_head.fc_cls(feats.to(cls_score.dtype))]),
                torch.cat([roi_labels, labels]),
                torch.cat([weights, weights.new_ones(len(labels))]))
        return args, {**kwargs, 'avg_factor': kwargs['avg_factor'] + len(labels)}

    handle = bbox_head.loss_cls.register_forward_pre_hook(append, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
