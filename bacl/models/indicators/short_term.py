"""Short-term indicators: how correct the classifier is on the samples at hand (Eq. 4 and 5)."""
import torch
from bacl.ops import promoted
from torch import Tensor


def objectness_scores(cls_score: Tensor) -> Tensor:
    """Class probabilities of a sigmoid classifier with an objectness channel.

    With p = sigmoid(z) and the background channel last (Eq. 5)::

        scores[:, i] = (1 - p_bg) * p_i    for the C foreground classes
        scores[:, C] = p_bg

    Rows do not sum to one: the channels are independent.

    Args:
        cls_score: (N, C + 1), logits; the last channel says "background".

    Returns:
        (N, C + 1), scores in [0, 1], in float32 at least.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Eq. (4) and (5).
    """
    prob = promoted(cls_score).sigmoid()
    return torch.cat([_foreground_scores(prob), prob[:, -1:]], dim=1)


def short_term_indicator(cls_score: Tensor) -> Tensor:
    """Correctness of the classifier for every sample and class: the foreground part of Eq. (5).

    It steers the loss weights and is never differentiated, hence detached.

    Args:
        cls_score: (N, C + 1), logits; the last channel says "background".

    Returns:
        (N, C), in [0, 1], without gradient.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Section III-C.
    """
    return _foreground_scores(cls_score.detach().sigmoid())


def _foreground_scores(prob: Tensor) -> Tensor:
    return prob[:, :-1] * (1 - prob[:, -1:])
