"""Generalized re-weighting (GRW): softmax loss with classes weighted by a power of their counts."""
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from .counted import CountedLoss
from .softmax_ce import SoftmaxCELoss


def grw_weights(counts: Tensor, rho: float) -> Tensor:
    """Weight of every class, 1 in the mean, and of the background, 1.

    With n_j the instances of class j::

        w_j = C n_j^-rho / sum_k n_k^-rho

    A class without instances counts as one with one.

    Args:
        counts: (C,), >= 0.
        rho: strength, >= 0; 0 weighs all classes alike.

    Returns:
        (C + 1,), > 0.

    Reference:
        Zhang et al., "Distribution Alignment: A Unified Framework for Long-tail Visual
        Recognition", CVPR 2021 (the generalized re-weight strategy).
    """
    weights = counts.clamp(min=1) ** -rho
    return F.pad(weights / weights.mean(), (0, 1), value=1)


@MODELS.register_module()
class GRWCrossEntropyLoss(CountedLoss, SoftmaxCELoss):
    """Softmax loss of DisAlign's second stage: rare classes weigh more, by :func:`grw_weights`.

    Its mean is the weighted one: the sum of w l over the samples divided by the sum of w, with w
    the weights of their classes. mmdet's ``CrossEntropyLoss(class_weight=...)`` divides by the
    number of samples instead, so that its size varies with the classes in the batch. Here
    ``avg_factor`` is a number of samples, too, and is multiplied by their mean class weight.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        rho: strength of the weights, >= 0 (0.8 in the paper).
        **kwargs: of :class:`CountedLoss`.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        See :func:`grw_weights`.
    """

    count_name = 'instance_count'

    def __init__(self, num_classes: int | None = None, rho: float = 0.8, **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.rho = self.check('rho', rho, 'a number >= 0', lambda v: v >= 0)

    def forward(self, cls_score: Tensor, labels: Tensor, weight: Tensor | None = None,
                avg_factor: float | Tensor | None = None,
                reduction_override: str | None = None) -> Tensor:
        """See :meth:`LongTailLoss.forward`; a sample weighs ``weight`` times its class weight."""
        self._check_channels(cls_score)
        dtype = torch.promote_types(cls_score.dtype, torch.float32)
        class_weight = grw_weights(self.known_counts(), self.rho).to(dtype)[labels]
        weight = torch.ones_like(class_weight) if weight is None else weight.to(dtype)
        total, weighted = weight.sum(), weight * class_weight
        mean_weight = torch.where(total > 0, weighted.sum() / total, 1)  # of no sample: 1
        num_samples = max(labels.numel(), 1) if avg_factor is None else avg_factor
        return super().forward(cls_score, labels, weighted, num_samples * mean_weight,
                               reduction_override)
