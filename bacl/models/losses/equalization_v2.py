"""Equalization loss v2: classes weighted by the ratio of their collected gradients."""
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.dist import all_reduce
from torch import Tensor

from .base import ObjectnessLoss, one_hot_targets

# Ratio of a class without gradient so far: balanced, all its weights are 1.
INITIAL_RATIO = 100.0


def eqlv2_weights(targets: Tensor, ratio: Tensor, gamma: float, mu: float, alpha: float) -> Tensor:
    """Weight of every channel of every sample, from the gradient ratios of the classes.

    With g_j the ratio of positive to negative gradient of class j and t_j its target::

        neg_j = sigmoid(gamma * (g_j - mu))
        pos_j = 1 + alpha * (1 - neg_j)
        weight_j = t_j pos_j + (1 - t_j) neg_j

    A class whose positives are drowned by its negatives (g_j small) gets few negatives and strong
    positives. The background channel has weight 1.

    Args:
        targets: (N, C + 1), in [0, 1], background last.
        ratio: (C,), >= 0.
        gamma: steepness, > 0.
        mu: ratio at which negatives count half.
        alpha: largest additional weight of positives, >= 0.

    Returns:
        (N, C + 1).
    """
    neg_weight = torch.sigmoid(gamma * (ratio - mu))
    pos_weight = F.pad(1 + alpha * (1 - neg_weight), (0, 1), value=1)
    neg_weight = F.pad(neg_weight, (0, 1), value=1)
    return torch.lerp(neg_weight, pos_weight, targets)


@MODELS.register_module()
class EqualizationLossV2(ObjectnessLoss):
    """Equalization loss v2 on C sigmoid class channels plus a background channel.

    The loss is that of :class:`ObjectnessBCELoss` times the weights of :func:`eqlv2_weights`. The
    ratio of class j is P_j / Q_j, where P and Q sum the weighted gradient
    |sigmoid(z_j) - t_j| * weight over all positive and negative samples of the training so far;
    without any, the weights are 1, so the first step is the plain sigmoid loss.

    P and Q are summed over ranks. The buffers ``pos_grad`` and ``neg_grad`` (C,) are float64 and
    in the checkpoint.

    mmdet's ``EQLV2Loss`` has the same formula, but predicts with a softmax, ignores sample weights
    and divisor, and by default keeps the gradients of each rank apart. The classifier's bias has
    to start at the prior probability 0.001 (``bias_prob=0.001`` in the head's ``init_cfg``): the
    large gradients of other starts would never be forgotten.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        gamma: steepness of the weights, > 0 (12 in the paper).
        mu: ratio at which negatives count half, >= 0 (0.8 in the paper).
        alpha: largest additional weight of positives, >= 0 (4 in the paper).
        **kwargs: of :class:`LongTailLoss`.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Tan et al., "Equalization Loss v2: A New Gradient Balance Approach for Long-tailed Object
        Detection", CVPR 2021.
    """

    starts_empty = True

    def __init__(self, num_classes: int | None = None, gamma: float = 12.0, mu: float = 0.8,
                 alpha: float = 4.0, **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.gamma = self.check('gamma', gamma, 'a number > 0', lambda v: v > 0)
        self.mu = self.check('mu', mu, 'a number >= 0', lambda v: v >= 0)
        self.alpha = self.check('alpha', alpha, 'a number >= 0', lambda v: v >= 0)

    def init_state(self) -> None:
        """Declare the sums of gradients."""
        for name in ('pos_grad', 'neg_grad'):
            self.register_buffer(name, torch.zeros(self.num_classes, dtype=torch.float64))

    def gradient_ratio(self) -> Tensor:
        """(C,), float64: collected positive over negative gradient of every class."""
        # The epsilon is the official code's; it bounds the ratio of a class without negatives.
        ratio = self.pos_grad / (self.neg_grad + 1e-10)
        return ratio.masked_fill(self.pos_grad + self.neg_grad == 0, INITIAL_RATIO)

    def targets(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(N, C + 1), in [0, 1], what the channels are to say; of the type of the logits."""
        return one_hot_targets(labels, logits)

    def weights(self, targets: Tensor) -> Tensor:
        """(N, C + 1), of the type of the targets; see :func:`eqlv2_weights`."""
        ratio = self.gradient_ratio().to(targets)
        return eqlv2_weights(targets, ratio, self.gamma, self.mu, self.alpha)

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """See :meth:`LongTailLoss.elementwise`."""
        targets = self.targets(logits, labels)
        return F.binary_cross_entropy_with_logits(
            logits, targets, self.weights(targets), reduction='none')

    def observe(self, logits: Tensor, labels: Tensor, weight: Tensor | None) -> None:
        """Add the gradients of the samples to those collected, over all ranks."""
        targets = self.targets(logits, labels)
        grad = logits.sigmoid().sub_(targets).abs_().mul_(self.weights(targets))
        if weight is not None:
            grad.mul_(weight[:, None])
        pos_grad = grad * targets
        # One by one: a sum over slices of a stack takes three times as long.
        sums = torch.stack([part.sum(0, dtype=torch.float64)[:-1]
                            for part in (pos_grad, grad.sub_(pos_grad))])
        all_reduce(sums)
        self.pos_grad += sums[0]
        self.neg_grad += sums[1]
