"""The contrastive loss of two views of an object, which are learned from in different ways.

Shapes: K pairs, E channels of their embeddings, W ranks.
"""
import torch
import torch.nn.functional as F
from bacl.ops import gather_rows, promoted
from mmdet.registry import MODELS
from mmengine.dist import get_rank, get_world_size
from torch import Tensor, nn


def contrastive_pair_loss(first: Tensor, second: Tensor, labels: Tensor, temperature: float,
                          is_pair: Tensor | None = None) -> Tensor:
    """Cross entropy of finding each view's partner among partners of other classes.

    With u and v the views, y the classes and T the temperature::

        L = -1 / K * sum_k ln( exp(u_k v_k / T) / sum_{j = k or y_j != y_k} exp(u_k v_j / T) )

    and the mean of it and of the same with u and v exchanged. Pairs of one class are not told
    apart. Without another class, or without pairs, it is a zero with gradient.

    Args:
        first: (K, E), u, of length 1.
        second: (K, E), v, of length 1.
        labels: (K,), y.
        temperature: T, > 0.
        is_pair: (K,), bool; False leaves a row out. None is all of them.

    Returns:
        A scalar >= 0.

    Reference:
        Inferred: CLIS (arXiv 2210.05568) states that a contrastive loss makes the two consistent.
        The form is InfoNCE (van den Oord et al., 2018).
    """
    is_pair = torch.ones_like(labels, dtype=torch.bool) if is_pair is None else is_pair
    with torch.autocast(first.device.type, enabled=False):
        similarity = promoted(first) @ promoted(second).t() / temperature
    is_own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    is_negative = (labels[:, None] != labels) & is_pair & is_pair[:, None]
    similarity = similarity.masked_fill(~(is_own | is_negative), -torch.inf)
    losses = (similarity.logsumexp(0) + similarity.logsumexp(1)) / 2 - similarity.diagonal()
    return (losses * is_pair).sum() / is_pair.sum().clamp(min=1)


@MODELS.register_module()
class ContrastivePairLoss(nn.Module):
    """:func:`contrastive_pair_loss` over the pairs of all ranks.

    Every rank computes the loss of all pairs, with gradient to its own views; the gradient is
    multiplied by W, since DDP takes the mean over ranks. So weights learn what they would in one
    process with all pairs. It is a collective operation: every rank calls it, also without pairs.

    Args:
        temperature: > 0. Inferred.
        loss_weight: factor of the loss, >= 0. Inferred.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(self, temperature: float = 0.2, loss_weight: float = 0.1) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError('ContrastivePairLoss(temperature=) expects a number > 0, got '
                             f'{temperature!r}.')
        if not loss_weight >= 0:
            raise ValueError('ContrastivePairLoss(loss_weight=) expects a number >= 0, got '
                             f'{loss_weight!r}.')
        self.temperature, self.loss_weight = temperature, loss_weight

    def forward(self, first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
        """Loss of the pairs, the same on all ranks.

        Args:
            first: (K, E), of any length.
            second: (K, E), of any length.
            labels: (K,), int64.
        """
        views = [F.normalize(promoted(view), dim=1) for view in (first, second)]
        own = torch.cat([*views, torch.ones_like(views[0][:, :1])], dim=1)
        ranks = gather_rows(labels, own.detach())
        own_labels, sent = ranks[get_rank()]
        # With gradient, and as many rows as were sent: all ranks compute the same.
        ranks[get_rank()] = own_labels, F.pad(own, (0, 0, 0, len(sent) - len(own)))
        labels, rows = (torch.cat(parts) for parts in zip(*ranks, strict=True))
        size = views[0].size(1)
        loss = contrastive_pair_loss(rows[:, :size], rows[:, size:-1], labels, self.temperature,
                                     rows[:, -1] > 0)
        num_ranks = get_world_size()
        return self.loss_weight * (num_ranks * loss - (num_ranks - 1) * loss.detach())
