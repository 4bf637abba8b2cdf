"""The linear part of predictors that do something with linear logits."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import ClassPredictor


class LinearPredictor(ClassPredictor):
    """W x + b, with the names and the initialisation that the last layer has in mmdet's heads.

    So the weights of a plain classifier fit, and the head's ``init_cfg`` says what they start from,
    the prior probability of a sigmoid included. A subclass resets what it adds to them.

    Args:
        in_features: D.
        out_features: number of logits.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        nn.init.normal_(self.weight, std=0.01)

    def forward(self, feats: Tensor) -> Tensor:
        """See :meth:`ClassPredictor.forward`."""
        return F.linear(feats, self.weight, self.bias)
