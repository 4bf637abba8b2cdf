"""The iterative box head of pairwise class balance (PCB).

Shapes: N RoIs, K channels of features of S x S bins.
"""
from collections.abc import Sequence

from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
from mmdet.registry import MODELS
from torch import Tensor, nn


def two_layers(num_inputs: int, num_hidden: int, num_outputs: int) -> nn.Sequential:
    """A perceptron with one hidden layer, in the initialisation of its linear layers."""
    return nn.Sequential(nn.Linear(num_inputs, num_hidden), nn.ReLU(),
                         nn.Linear(num_hidden, num_outputs))


@MODELS.register_module()
class IterativeBBoxHead(Shared2FCBBoxHead):
    """Runs mmdet's ``Shared2FCBBoxHead`` several times on RoI features that its outputs change.

    With F the features of a RoI, z the logits and r the box deltas that the head makes of them, the
    features of the next iteration are::

        F' = F * spatial(r) + channel(z)

    ``spatial`` gives a factor for each bin, ``channel`` a summand for each channel; both are
    perceptrons with one hidden layer. All iterations share all weights, and gradients go back
    through them. Boxes and scores are those of the last iteration, in training and test.

    In training every iteration has a classification loss; the last one has the loss of boxes, too,
    and gives the accuracy. A loss with a method ``set_iteration(iteration, num_iterations)`` is
    told of each, such as those of pairwise class balance; any other does as well. State that a loss
    collects takes in the samples of every iteration. In ``eval()`` the losses are those of the last
    iteration only, with its weight.

    Args:
        iteration_weights: weight of the classification loss of each iteration, >= 0, at least two.
        num_hidden: size of the hidden layers.
        norm_logits: normalize the logits (``LayerNorm``) before ``channel``.
        **kwargs: of ``Shared2FCBBoxHead``.

    Raises:
        ValueError: if there are less than two weights, or negative ones.
        TypeError: if the classifier or the loss has to be shown the RoIs of one pass; see
            :class:`.LongTailMixin`.

    Reference:
        He et al., "Relieving Long-tailed Instance Segmentation via Pairwise Class Balance",
        CVPR 2022, Section 3.3; initialisation, as in the official code, is that of the layers.
    """

    def __init__(self, *, iteration_weights: Sequence[float] = (0.2, 0.2, 0.6),
                 num_hidden: int = 512, norm_logits: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        if len(iteration_weights) < 2 or min(iteration_weights) < 0:
            raise ValueError('IterativeBBoxHead(iteration_weights=) expects two or more numbers '
                             f'>= 0, got {iteration_weights}.')
        self.iteration_weights = tuple(iteration_weights)
        shown = [part for part in self.loss_cls.modules() if hasattr(part, 'set_objects')]
        if hasattr(self.fc_cls, 'observe'):
            shown.append(self.fc_cls)
        if shown:
            raise TypeError(
                f'IterativeBBoxHead passes the RoIs through its classifier '
                f'{self.num_iterations} times, but {type(shown[0]).__name__} is to be shown them '
                'once. Use Shared2FCBBoxHead.')
        num_logits, num_deltas = self.fc_cls.out_features, self.fc_reg.out_features
        self.channel = two_layers(num_logits, num_hidden, self.in_channels)
        if norm_logits:
            self.channel.insert(0, nn.LayerNorm(num_logits))
        self.spatial = two_layers(num_deltas, num_hidden, self.roi_feat_area)
        self._logits: list[Tensor] = []  # of the iterations but the last, until their loss

    @property
    def num_iterations(self) -> int:
        """Number of passes."""
        return len(self.iteration_weights)

    def modulate(self, feats: Tensor, logits: Tensor, deltas: Tensor) -> Tensor:
        """Features of the next iteration.

        Args:
            feats: (N, K, S, S).
            logits: (N, channels).
            deltas: (N, 4) or (N, 4 C).

        Returns:
            (N, K, S, S).
        """
        factor = self.spatial(deltas).view(len(feats), 1, *self.roi_feat_size)
        return feats * factor + self.channel(logits)[:, :, None, None]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, channels) and box deltas (N, 4) or (N, 4 C) of the last iteration.

        Args:
            x: RoI features (N, K, S, S).
        """
        self._logits = []
        for _ in range(self.num_iterations - 1):
            logits, deltas = super().forward(x)
            if self.training:
                self._logits.append(logits)
            x = self.modulate(x, logits, deltas)
        return super().forward(x)

    def loss(self, cls_score: Tensor, bbox_pred: Tensor | None, *args, **kwargs) -> dict:
        """The host's losses of all iterations; call it after :meth:`forward`.

        Args:
            cls_score: (N, channels), of the last iteration.
            bbox_pred: of the last iteration.
            *args: see the host.
            **kwargs: see the host.

        Returns:
            The host's dictionary, with ``loss_cls`` summed over the iterations.
        """
        last, total = self.num_iterations - 1, {}
        iterations = range(0 if self.training else last, self.num_iterations)
        try:
            for iteration, logits in zip(iterations, [*self._logits, cls_score], strict=True):
                if hasattr(self.loss_cls, 'set_iteration'):
                    self.loss_cls.set_iteration(iteration, self.num_iterations)
                losses = super().loss(
                    logits, bbox_pred if iteration == last else None, *args, **kwargs)
                weight = self.iteration_weights[iteration]
                for name, value in losses.items():
                    is_summed = 'loss' in name and name != 'loss_bbox'
                    total[name] = total.get(name, 0) + weight * value if is_summed else value
        finally:
            self._logits = []  # an error must not keep the graph of a step alive
        return total
