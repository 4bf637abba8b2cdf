"""Adaptive class suppression loss (ACSL): a sample suppresses the classes that score high with it.

Shapes: N samples, C foreground classes, label C is background; G frequency groups.
"""
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from bacl.annotations import ClassTable
from bacl.ops import draw_samples, promoted
from mmdet.registry import MODELS
from torch import Tensor

from .base import LongTailLoss
from .objectness_bce import objectness_bce_loss


def suppression_weights(logits: Tensor, labels: Tensor, group: Tensor, share: Tensor,
                        score_thr: float, is_present: Tensor | None = None,
                        at_random: bool = True) -> Tensor:
    """Which channels a sample trains.

    A foreground sample trains its own channel, and suppresses those, background among them, whose
    score is ``score_thr`` or more. A background sample trains the background channel, and
    suppresses the classes of the frequency groups that it is drawn for: each group draws its share
    of the background samples, rounded down.

    Args:
        logits: (N, C + 1).
        labels: (N,), int64 in [0, C].
        group: (C,), int64 in [0, G), frequency group of each class.
        share: (G,), float64 in [0, 1], of the background samples, for each group.
        score_thr: in [0, 1].
        is_present: (N,), bool, the samples that exist; None are all.
        at_random: False draws nothing, and gives the mean over all draws.

    Returns:
        (N, C + 1), of the type of the logits: 1 for channels that are trained, else 0.
    """
    is_background = labels == logits.size(1) - 1
    candidates = is_background if is_present is None else is_background & is_present
    drawn = draw_samples(candidates.expand(len(share), -1), (share * candidates.sum()).floor(),
                         at_random)
    weights = torch.where(is_background[:, None], F.pad(drawn.to(logits).t()[:, group], (0, 1)),
                          (logits.sigmoid() >= score_thr).to(logits))
    return weights.scatter(1, labels[:, None], 1)


@MODELS.register_module()
class AdaptiveClassSuppressionLoss(LongTailLoss):
    """Sigmoid loss in which samples suppress only the classes that compete with their own.

    It is the loss of :class:`ObjectnessBCELoss` times :func:`suppression_weights`, so that
    rare classes are not buried under negatives, and those that are confused with each other learn
    to tell themselves apart. Scores are plain sigmoids: no objectness.

    The frequency groups come from the training data, through
    :class:`~bacl.engine.hooks.MethodHook`. They serve the background samples only.

    A share of less than one sample draws none: with fewer than 100 background samples in a batch,
    backgrounds never suppress classes whose share is 0.01. A sample of weight 0 is never drawn. In
    ``eval()`` nothing is drawn; the loss is the mean over all draws.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        score_thr: score from which on a class competes, in [0, 1] (0.7 in the paper).
        background_share: share of the background samples, in [0, 1], that suppress the classes of
            each frequency group, by its key: 'r', 'c', 'f' in LVIS.
        **kwargs: of :class:`LongTailLoss`.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Wang et al., "Adaptive Class Suppression Loss for Long-Tail Object Detection", CVPR 2021;
        the shares are those of the official code (CASIA-IVA-Lab/ACSL).
    """

    extra_channels = objectness_channels = 1

    def __init__(self, num_classes: int | None = None, score_thr: float = 0.7,
                 background_share: Mapping[str, float] = dict(r=0.01, c=0.1, f=1.0),  # noqa: B006
                 **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.score_thr = self.check('score_thr', score_thr, 'a number in [0, 1]',
                                    lambda v: 0 <= v <= 1)
        self.background_share = self.check(
            'background_share', dict(background_share), 'numbers in [0, 1] by group',
            lambda v: all(0 <= share <= 1 for share in v.values()))
        self.knows_groups = False

    def init_state(self) -> None:
        """Make room for the groups."""
        # Not in the checkpoint: needed in training only, where the data have them.
        self.register_buffer('group', torch.zeros(self.num_classes, dtype=torch.long),
                             persistent=False)
        self.register_buffer('share', torch.tensor([*self.background_share.values()],
                                                   dtype=torch.float64), persistent=False)

    def set_class_counts(self, table: ClassTable) -> None:
        """Take the frequency groups of the training data.

        Raises:
            ValueError: if the data have no groups, or others than ``background_share``.
        """
        keys, found = list(self.background_share), table.group_keys().tolist()
        if not set(found) <= set(keys):
            raise ValueError(
                f'{type(self).__name__}(background_share=) expects a share for each of the groups '
                f'{sorted(set(found))} of the training data, got {keys}.')
        self.group.copy_(torch.from_numpy(np.array([keys.index(key) for key in found])))
        self.knows_groups = True

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """(N, C + 1) logits to (N, C + 1) scores: sigmoid, background last."""
        return promoted(cls_score).sigmoid()

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of every channel, suppressed or not; see :func:`objectness_bce_loss`."""
        return objectness_bce_loss(logits, labels)

    def sample_losses(self, logits: Tensor, labels: Tensor, weight: Tensor | None) -> Tensor:
        """See :meth:`LongTailLoss.sample_losses`.

        Raises:
            RuntimeError: if the groups are not known.
        """
        if not self.knows_groups:
            raise RuntimeError(
                f"{type(self).__name__} does not know the frequency groups. Add dict(type="
                "'MethodHook') to custom_hooks, which takes them from the training dataset.")
        suppression = suppression_weights(
            logits.detach(), labels, self.group, self.share, self.score_thr,
            None if weight is None else weight > 0, self.training)
        loss = (self.elementwise(logits, labels) * suppression).sum(dim=1)
        return loss if weight is None else loss * weight
