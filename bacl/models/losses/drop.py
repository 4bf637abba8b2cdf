"""DropLoss: tail classes have background for negatives as often as they have objects."""
import torch
from mmdet.registry import MODELS
from torch import Tensor

from .base import without_weightless
from .equalization import EqualizationLoss, eql_weights


def tail_ratio(labels: Tensor, is_tail: Tensor) -> Tensor:
    """Share of the foreground samples that are of tail classes.

    Args:
        labels: (N,), int64 in [0, C]; C is background.
        is_tail: (C,), bool.

    Returns:
        Scalar in [0, 1], float32; 1 without foreground samples, so that nothing is dropped.
    """
    is_foreground = labels < len(is_tail)
    is_tail_sample = is_foreground & is_tail[labels.clamp(max=len(is_tail) - 1)]
    num_foreground, num_tail = is_foreground.sum(), is_tail_sample.sum()
    return torch.where(num_foreground > 0, num_tail / num_foreground, 1)


@MODELS.register_module()
class DropLoss(EqualizationLoss):
    """Equalization loss that drops tail classes also in background samples, at random.

    Each of their channels in each background sample is kept with the probability
    :func:`tail_ratio`: where a batch has few tail objects, tail classes need little background
    against them. In ``eval()`` nothing is drawn; the loss is the mean over all draws.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        frequency_thr: see :class:`.EqualizationLoss`. The official one is 0.00177 for both LVIS
            v0.5 and v1, where 78 frequent classes are below it.
        **kwargs: of :class:`.EqualizationLoss`.

    Reference:
        Hsieh et al., "DropLoss for Long-Tail Instance Segmentation", AAAI 2021.
    """

    def sample_losses(self, logits: Tensor, labels: Tensor, weight: Tensor | None) -> Tensor:
        """See :meth:`LongTailLoss.sample_losses`."""
        # Samples of weight 0 are no objects of the batch.
        labels = without_weightless(labels, weight, self.num_classes)
        return super().sample_losses(logits, labels, weight)

    def channel_weights(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(N, C), weight of every channel; see :func:`.eql_weights` and :func:`tail_ratio`."""
        is_tail = self.is_tail()
        ratio = tail_ratio(labels, is_tail)
        kept = torch.rand_like(logits) <= ratio if self.training else ratio
        return eql_weights(labels, is_tail, kept)
