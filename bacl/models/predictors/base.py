"""The interface of predictors, which turn features into logits."""
from abc import ABC, abstractmethod

from torch import Tensor, nn


class ClassPredictor(nn.Module, ABC):
    """The last layer of a box head's classification branch: ``cls_predictor_cfg=dict(type=...)``.

    mmdet builds it with the two numbers below and calls it ``fc_cls``. The weights of the head,
    and with them the layers in ``fc_cls``, are initialised by the head's ``init_cfg``; after that,
    a predictor initialises itself, so that what it starts from is its own.

    A predictor that learns from the samples of training has a method ``observe(feats, labels)``:
    the inputs (N, D) of the sampled RoIs, without gradient, and their labels (N,), int64 in
    [0, C]. The RoI heads of this package call it in every training step, after the logits are
    computed.

    Args:
        in_features: D.
        out_features: number of logits, as the loss says it.

    Attributes:
        needs_background: whether the logits have to be those of the C classes and, last, of the
            background; with a loss of other channels the head is refused when it is built.
        activation: 'softmax' if the logits mean something under a softmax only; a head with
            another loss is refused.
    """

    needs_background = False
    activation: str | None = None

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features

    @abstractmethod
    def forward(self, feats: Tensor) -> Tensor:
        """(N, D) features to (N, ``out_features``) logits."""

    @abstractmethod
    def reset_parameters(self) -> None:
        """Set the parameters to what training starts from."""

    def init_weights(self) -> None:
        """Called when the head's own initialisation is done, which would be the last word else."""
        self.reset_parameters()
