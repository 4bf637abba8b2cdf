"""Equalized focal loss: a focal loss that focuses each class as much as its gradients are uneven.

Shapes: N samples, C foreground classes; label C is background.
"""
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.dist import all_reduce
from torch import Tensor

from .sigmoid_bce import SigmoidBCELoss


def quality_focal_loss(logits: Tensor, targets: Tensor, focusing: Tensor) -> Tensor:
    """Binary cross entropy times the distance of score and target to a power.

    With p = sigmoid(z)::

        |t - p| ** focusing * BCE(p, t)

    Args:
        logits: (N, C).
        targets: (N, C), in [0, 1].
        focusing: (C,), >= 1; smaller ones have no gradient at t = p.

    Returns:
        (N, C). For targets 0 and 1 it is the focal loss. All three may have any shapes that
        broadcast.

    Reference:
        Li et al., "Generalized Focal Loss: Learning Qualified and Distributed Bounding Boxes for
        Dense Object Detection", NeurIPS 2020, Eq. (3).
    """
    distance = (targets - logits.sigmoid()).abs()
    return distance ** focusing * F.binary_cross_entropy_with_logits(
        logits, targets, reduction='none')


def quality_focal_gradient(logits: Tensor, targets: Tensor, focusing: Tensor) -> Tensor:
    """Absolute gradient of :func:`quality_focal_loss`, of the same arguments, (N, C)."""
    score = logits.sigmoid()
    distance = (targets - score).abs()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction='none')
    return distance ** (focusing - 1) * (
        focusing * score * (1 - score) * cross_entropy + distance ** 2)


def negative_focal_loss(logits: Tensor, focusing: Tensor) -> Tensor:
    """:func:`quality_focal_loss` of targets 0, what nearly all channels are, with less to do."""
    return logits.sigmoid() ** focusing * F.softplus(logits)


def negative_focal_gradient(logits: Tensor, focusing: Tensor) -> Tensor:
    """Gradient of :func:`negative_focal_loss`, of the same arguments, (N, C)."""
    score = logits.sigmoid()
    return (1 - score).mul_(F.softplus(logits)).mul_(focusing).add_(score).mul_(score ** focusing)


@MODELS.register_module()
class EqualizedFocalLoss(SigmoidBCELoss):
    """Equalized focal loss (EFL) on C sigmoid class channels, for dense heads and box heads.

    With g_j in [0, 1] the gradient ratio of class j, p_t the score of what is right::

        gamma_j = gamma + scale_factor * (1 - g_j)
        L = sum_j alpha_t * gamma_j / gamma * (1 - p_t) ** gamma_j * -log(p_t)

    g_j is the positive over the negative gradient of class j, summed over the training so far, at
    most 1, and 1 without any: the first step is the plain focal loss. A class whose positives are
    drowned by its negatives is focused more, and the factor gamma_j / gamma makes up for the loss
    that it would lose by that. The gradients are the true ones, of weights, factors and divisor,
    without ``loss_weight``.

    Dense heads call their loss once for each level of the feature pyramid. All calls of a step are
    steered by the ratios before it: a step ends with its backward pass. The buffers ``pos_grad``
    and ``neg_grad`` (C,) are float64, summed over ranks in every call, and in the checkpoint. The
    loss of N anchors keeps some tensors of (N, C) for the backward pass, which mmdet's fused focal
    loss does not; at 1,203 classes a head with one anchor at each location, such as that of ATSS,
    is the better choice.

    In a dense head (mmdet's ``ATSSHead``, ``RetinaHead``, ``FCOSHead``) both ``use_sigmoid=True``
    and ``num_classes`` have to be in the config of the loss: these heads read the first from there,
    count channels and activate logits themselves, and do not tell C. In a box head leave both out.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        gamma: focusing of a balanced class, >= 1 (2 in the paper).
        alpha: weight of positives, that of negatives being 1 - alpha, in [0, 1]; None is 1 for both
            (0.25 in the paper).
        scale_factor: focusing that a class without positive gradient has in addition, >= 0 (8 in
            the paper).
        use_sigmoid: True in a dense head; see above.
        **kwargs: of :class:`LongTailLoss`.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Li et al., "Equalized Focal Loss for Dense Long-Tailed Object Detection", CVPR 2022,
        Eq. (4) to (6).
    """

    starts_empty = True
    use_sigmoid = False

    def __init__(self, num_classes: int | None = None, gamma: float = 2.0,
                 alpha: float | None = 0.25, scale_factor: float = 8.0, use_sigmoid: bool = False,
                 **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.gamma = self.check('gamma', gamma, 'a number >= 1', lambda v: v >= 1)
        self.alpha = self.check('alpha', alpha, 'a number in [0, 1] or None',
                                lambda v: v is None or 0 <= v <= 1)
        self.scale_factor = self.check(
            'scale_factor', scale_factor, 'a number >= 0', lambda v: v >= 0)
        self.use_sigmoid = use_sigmoid
        if use_sigmoid:
            self.serve_dense_head()
        self._step_is_over = True

    def init_state(self) -> None:
        """Declare the sums of gradients, and the ratios that steer the current step."""
        for name in ('pos_grad', 'neg_grad'):
            self.register_buffer(name, torch.zeros(self.num_classes, dtype=torch.float64))
        self.register_buffer('step_ratio', torch.ones(self.num_classes, dtype=torch.float64),
                             persistent=False)

    def gradient_ratio(self) -> Tensor:
        """(C,), float64, in [0, 1]: collected positive over negative gradient of every class."""
        ratio = (self.pos_grad / (self.neg_grad + 1e-10)).clamp(max=1)
        return ratio.masked_fill(self.pos_grad + self.neg_grad == 0, 1)

    def focusing(self) -> Tensor:
        """(C,), float64: gamma_j of the current step."""
        return self.gamma + self.scale_factor * (1 - self.step_ratio)

    def targets(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Label of each sample, and what its channel is to say: both (N,), background included."""
        return labels, torch.ones_like(labels)

    def _positives(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Channel of each sample and whether it is positive, both (N, 1); else it is channel 0."""
        is_positive = labels[:, None] < self.num_classes
        return labels[:, None].where(is_positive, 0), is_positive

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """See :meth:`LongTailLoss.elementwise`."""
        labels, targets = self.targets(labels)
        focusing = self.focusing().to(logits)
        positive_weight, negative_weight = self._class_weights(focusing)
        loss = negative_focal_loss(logits, focusing) * negative_weight
        channel, is_positive = self._positives(labels)
        positive = quality_focal_loss(logits.gather(1, channel), targets[:, None].to(logits),
                                      focusing[channel]) * positive_weight[channel]
        return loss.scatter(1, channel, torch.where(is_positive, positive, loss.gather(1, channel)))

    def _class_weights(self, focusing: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (C,) of each class for positives and negatives."""
        weight = focusing / self.gamma
        return (weight, weight) if self.alpha is None else (
            self.alpha * weight, (1 - self.alpha) * weight)

    def forward(self, cls_score: Tensor, labels: Tensor, weight: Tensor | None = None,
                avg_factor: float | Tensor | None = None,
                reduction_override: str | None = None) -> Tensor:
        """See :meth:`LongTailLoss.forward`."""
        reduction = self.check_reduction(reduction_override or self.reduction)
        if reduction == 'mean':  # the divisor is in the gradients that are collected
            weight = torch.ones_like(cls_score[:, 0]) if weight is None else weight
            dtype = torch.promote_types(cls_score.dtype, torch.float32)
            weight = weight.to(dtype) / (max(len(cls_score), 1) if avg_factor is None
                                         else avg_factor)
            reduction = 'sum'
        loss = super().forward(cls_score, labels, weight, reduction_override=reduction)
        if loss.requires_grad:
            loss.register_hook(self._end_step)
        return loss

    def _end_step(self, grad: Tensor) -> None:
        self._step_is_over = True

    def prepare(self, logits: Tensor, labels: Tensor, weight: Tensor | None) -> None:
        """Take over the ratios, in the first call of a step."""
        if self._step_is_over:
            self.step_ratio.copy_(self.gradient_ratio())
            self._step_is_over = False

    def observe(self, logits: Tensor, labels: Tensor, weight: Tensor | None) -> None:
        """Add the gradients of the samples to those collected, over all ranks."""
        labels, targets = self.targets(labels)
        focusing = self.focusing().to(logits)
        channel, is_positive = self._positives(labels)
        positive = quality_focal_gradient(logits.gather(1, channel), targets[:, None].to(logits),
                                          focusing[channel])
        negative = negative_focal_gradient(logits, focusing)
        negative.scatter_(1, channel, negative.gather(1, channel).masked_fill(is_positive, 0))
        positive = positive.masked_fill(~is_positive, 0)
        if weight is not None:
            positive, negative = positive * weight[:, None], negative.mul_(weight[:, None])
        sums = torch.stack([
            positive.new_zeros(self.num_classes, dtype=torch.float64).index_add_(
                0, channel.squeeze(1), positive.squeeze(1).double()),
            negative.sum(0, dtype=torch.float64)])
        sums *= torch.stack(self._class_weights(focusing))
        all_reduce(sums)
        self.pos_grad += sums[0]
        self.neg_grad += sums[1]


@MODELS.register_module()
class EqualizedQualityFocalLoss(EqualizedFocalLoss):
    """Equalized quality focal loss (EQFL): the target of a positive is the IoU of its box.

    As :class:`EqualizedFocalLoss`, with :func:`quality_focal_loss` for the focal loss and without
    alpha. It is for dense heads whose loss gets a pair of labels and qualities, such as mmdet's
    ``GFLHead``; labels alone are of quality 1.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        **kwargs: of :class:`EqualizedFocalLoss`, except ``alpha``.
    """

    def __init__(self, num_classes: int | None = None, **kwargs) -> None:
        super().__init__(num_classes, alpha=None, **kwargs)

    def targets(self, labels: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """See the host; the labels may be a pair of labels (N,) and qualities (N,) in [0, 1]."""
        return labels if isinstance(labels, tuple | list) else super().targets(labels)
