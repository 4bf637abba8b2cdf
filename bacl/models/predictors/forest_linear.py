"""Classifiers of the classes and of their parents in each tree of Forest R-CNN."""
from collections.abc import Sequence

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

from .base import ClassPredictor


@MODELS.register_module()
class ForestLinear(ClassPredictor):
    """A hidden layer and a linear one for the classes, and both for the parents of each tree.

    The features learn from the classes alone; classifiers of parents read them without gradient.
    The box head has a shared layer, and regression a hidden one of its own:
    ``ConvFCBBoxHead(num_shared_fcs=1, num_reg_fcs=1)``. The loss has to be a
    :class:`~bacl.models.losses.ForestLoss` with the same ``num_parents``.

    Args:
        in_features: D, also the size of the hidden layers.
        out_features: C + 1 + sum_t (P_t + 1), in this order, backgrounds last.
        num_parents: P_t of each tree, > 0, without background.
    """

    def __init__(self, in_features: int, out_features: int, num_parents: Sequence[int]) -> None:
        super().__init__(in_features, out_features)
        self.num_parents = tuple(num_parents)
        sizes = [parents + 1 for parents in self.num_parents]
        self.fine, *trees = [
            nn.Sequential(nn.Linear(in_features, in_features), nn.ReLU(),
                          nn.Linear(in_features, size))
            for size in (out_features - sum(sizes), *sizes)]
        self.trees = nn.ModuleList(trees)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """See :meth:`ClassPredictor.reset_parameters`."""
        for hidden, _, linear in (self.fine, *self.trees):
            nn.init.xavier_uniform_(hidden.weight)
            nn.init.normal_(linear.weight, std=0.01)
            nn.init.zeros_(hidden.bias)
            nn.init.zeros_(linear.bias)

    def forward(self, feats: Tensor) -> Tensor:
        """See :meth:`ClassPredictor.forward`."""
        return torch.cat([self.fine(feats), *(tree(feats.detach()) for tree in self.trees)], dim=1)
