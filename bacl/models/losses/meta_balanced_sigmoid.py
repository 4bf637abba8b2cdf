"""The meta part of BALMS: class weights that are learnt through a step of the classifier.

Shapes: N samples of the step and M of the meta batch, D features, C foreground classes; label C is
background.
"""
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.dist import all_reduce
from torch import Tensor

from .balanced_softmax import BalancedSigmoidLoss
from .sigmoid_bce import sigmoid_bce_loss

# Of Adam, as usual.
BETAS, EPSILON = (0.9, 0.999), 1e-8


def meta_weights(meta_logit: Tensor, labels: Tensor, weight: Tensor | None = None) -> Tensor:
    """Weight of every sample: that of its class, 1 in the mean over the foreground.

    Args:
        meta_logit: (C,), what is learnt; a class weighs its sigmoid.
        labels: (N,), int64 in [0, C]; background weighs 1.
        weight: (N,), >= 0, weight of each sample in that mean; None is 1.

    Returns:
        (N,), without ``weight``.
    """
    is_foreground = labels < len(meta_logit)
    class_weight = F.pad(meta_logit.sigmoid(), (0, 1))[labels]
    count = is_foreground.to(class_weight) if weight is None else is_foreground * weight
    total = (count * class_weight).sum()
    mean = torch.where(total > 0, total, 1) / count.sum().clamp(min=torch.finfo(total.dtype).tiny)
    return torch.where(is_foreground, class_weight / mean, 1)


def meta_gradient(meta_logit: Tensor, parameters: Sequence[Tensor], momenta: Sequence[Tensor],
                  inner_loss: Callable[[Sequence[Tensor], Tensor], Tensor],
                  outer_loss: Callable[[Sequence[Tensor]], Tensor], lr: float,
                  momentum: float = 0.0, weight_decay: float = 0.0) -> Tensor:
    """Gradient of the outer loss, after a step of SGD on the inner one, to the meta logits.

    Args:
        meta_logit: (C,).
        parameters: what the step changes; they stay as they are.
        momenta: momentum buffer of each; zeros before the first step.
        inner_loss: of parameters and meta logits.
        outer_loss: of the parameters after the step.
        lr: learning rate of the step.
        momentum: of the step; as in PyTorch, without dampening.
        weight_decay: of the step.

    Returns:
        (C,).

    Reference:
        Ren et al., "Balanced Meta-Softmax for Long-Tailed Visual Recognition", NeurIPS 2020,
        Algorithm 1.
    """
    with torch.enable_grad():
        meta_logit = meta_logit.detach().requires_grad_()
        parameters = [parameter.detach().requires_grad_() for parameter in parameters]
        grads = torch.autograd.grad(inner_loss(parameters, meta_logit), parameters,
                                    create_graph=True)
        after_step = [p - lr * (momentum * m + g + weight_decay * p)
                      for p, m, g in zip(parameters, momenta, grads, strict=True)]
        return torch.autograd.grad(outer_loss(after_step), meta_logit)[0]


@MODELS.register_module()
class MetaBalancedSigmoidLoss(BalancedSigmoidLoss):
    """Balanced sigmoid loss with class weights that a meta learner learns.

    Before each step, :class:`~bacl.engine.hooks.MetaReweightHook` calls :meth:`meta_step`: how a
    step of the classifier with the present weights changes its plain sigmoid loss on a batch in
    which classes are balanced. The weights take a step of Adam against that. Their gradient is
    averaged over ranks, and all state is in buffers.

    In the official code the logits of the outer loss are shifted, too, by a slip that distorts the
    gradients; here they are not.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        meta_lr: learning rate of the meta logits, > 0 (0.01 in the official code).
        **kwargs: of :class:`.BalancedSigmoidLoss`.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        See :func:`meta_gradient`.
    """

    state_names = ('meta_logit', 'meta_mean', 'meta_square', 'num_meta_steps')
    starts_empty = (*BalancedSigmoidLoss.starts_empty, *state_names)

    def __init__(self, num_classes: int | None = None, meta_lr: float = 0.01, **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.meta_lr = self.check('meta_lr', meta_lr, 'a number > 0', lambda v: v > 0)

    def init_state(self) -> None:
        """Declare the meta logits, and the moments of Adam."""
        super().init_state()
        for name in self.state_names:
            size = () if name == 'num_meta_steps' else (self.num_classes,)
            self.register_buffer(name, torch.zeros(size, dtype=torch.float64))

    def forward(self, cls_score: Tensor, labels: Tensor, weight: Tensor | None = None,
                avg_factor: float | Tensor | None = None,
                reduction_override: str | None = None) -> Tensor:
        """See :meth:`LongTailLoss.forward`; a sample weighs ``weight`` times its meta weight."""
        self._check_channels(cls_score)
        dtype = torch.promote_types(cls_score.dtype, torch.float32)
        weight = torch.ones_like(labels, dtype=dtype) if weight is None else weight.to(dtype)
        weight = weight * meta_weights(self.meta_logit.to(dtype), labels, weight)
        return super().forward(cls_score, labels, weight, avg_factor, reduction_override)

    def inner_loss(self, logits: Tensor, labels: Tensor, meta_logit: Tensor) -> Tensor:
        """The loss of a batch, a mean over its samples, as a function of the meta logits."""
        loss = self.elementwise(logits, labels).sum(dim=1)
        return (loss * meta_weights(meta_logit, labels)).sum() / max(len(labels), 1)

    def meta_step(self, feats: Tensor, labels: Tensor, meta_feats: Tensor, meta_labels: Tensor,
                  parameters: Sequence[Tensor], momenta: Sequence[Tensor], lr: float,
                  momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        """Learn from how the coming step would change the loss on a balanced batch.

        Every rank has to get here in every step.

        Args:
            feats: (N, D), inputs of the classifier.
            labels: (N,), int64 in [0, C].
            meta_feats: (M, D), those of the balanced batch.
            meta_labels: (M,), int64 in [0, C].
            parameters: weight (C, D) and bias (C,) of the classifier.
            momenta: see :func:`meta_gradient`.
            lr: learning rate of the classifier.
            momentum: of its optimizer.
            weight_decay: of its optimizer.
        """
        feats, meta_feats = feats.to(parameters[0]), meta_feats.to(parameters[0])

        def inner_loss(parameters: Sequence[Tensor], meta_logit: Tensor) -> Tensor:
            return self.inner_loss(F.linear(feats, *parameters), labels, meta_logit)

        def outer_loss(parameters: Sequence[Tensor]) -> Tensor:
            loss = sigmoid_bce_loss(F.linear(meta_feats, *parameters), meta_labels)
            return loss.sum() / max(len(meta_labels), 1)

        grad = meta_gradient(self.meta_logit.to(feats), parameters, momenta, inner_loss,
                             outer_loss, lr, momentum, weight_decay).to(self.meta_logit)
        all_reduce(grad, 'mean')
        self.adam_step(grad)

    def adam_step(self, grad: Tensor) -> None:
        """Move the meta logits against a gradient (C,)."""
        self.num_meta_steps += 1
        self.meta_mean.lerp_(grad, 1 - BETAS[0])
        self.meta_square.lerp_(grad.square(), 1 - BETAS[1])
        mean, square = (moment / (1 - beta**self.num_meta_steps) for moment, beta
                        in zip((self.meta_mean, self.meta_square), BETAS, strict=True))
        self.meta_logit -= self.meta_lr * mean / (square.sqrt() + EPSILON)
