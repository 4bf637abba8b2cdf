"""Category-aware angular margin loss (C2AM): a softmax of cosines with a margin between classes."""
import math

import torch
from bacl.ops import once_per_class
from mmdet.registry import MODELS
from torch import Tensor, nn

from .softmax_ce import SoftmaxCELoss, softmax_ce_loss

# Smallest squared sine times scale, whose root would have an infinite gradient at 0.
MIN_SQUARED_SINE = 1e-3


def c2am_logits(logits: Tensor, labels: Tensor, class_norm: Tensor, scale: Tensor | float,
                alpha: float) -> Tensor:
    """Scaled cosines of angles that a margin has widened, for a softmax.

    With z_j = s cos(theta_j), W_j the weight of class j and i the true class of a sample::

        m_ij = max(0, alpha / pi log(|W_i| / |W_j|))
        z'_j = s cos(theta_j + m_ij)

    A class with a larger norm than another needs not win against it by as much, so that the
    boundary between the two moves towards the one with the smaller norm.

    Args:
        logits: (N, M), in [-s, s]; beyond there is no angle, and no sine.
        labels: (N,), int64 in [0, M).
        class_norm: (M,), > 0.
        scale: s, > 0.
        alpha: strength of the margins, >= 0.

    Returns:
        (N, M). The logit at the label is as it was.

    Reference:
        Wang et al., "C2AM Loss: Chasing a Better Decision Boundary for Long-Tail Object
        Detection", CVPR 2022.
    """
    log_norm, num_channels = class_norm.log().to(logits), logits.size(1)

    def margin_parts(classes: Tensor) -> Tensor:
        margin = (alpha / math.pi * (log_norm[classes, None] - log_norm)).clamp(min=0)
        return torch.cat([margin.cos(), margin.sin()], dim=1)

    cos, sin = once_per_class(margin_parts, labels, num_channels).split(num_channels, dim=1)
    # s sin(theta), squared.
    squared_sine = (scale ** 2 - logits * logits).clamp(min=MIN_SQUARED_SINE)
    return logits * cos - squared_sine.sqrt() * sin


@MODELS.register_module()
class C2AMLoss(SoftmaxCELoss):
    """Softmax loss of :func:`c2am_logits` over C classes and the background, which is one of them.

    The classifier of the head has to be a :class:`~bacl.models.predictors.CosineLinear` without
    gains; its scale is s, and the norms of its weights, without gradient, give the margins. Scores
    at test time are a plain softmax.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        alpha: see :func:`c2am_logits`, >= 0 (0.5 in the paper; 0 is a plain cosine classifier).
        **kwargs: of :class:`LongTailLoss`.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        See :func:`c2am_logits`.
    """

    def __init__(self, num_classes: int | None = None, alpha: float = 0.5, **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.alpha = self.check('alpha', alpha, 'a number >= 0', lambda v: v >= 0)
        # In a list, or its parameters would be parameters of the loss, too.
        self._classifier: list[nn.Module] = []

    def set_classifier(self, classifier: nn.Module) -> None:
        """Be told the last layer of the head that the loss is in.

        Raises:
            TypeError: if its logits are not cosines times one scale.
        """
        if not hasattr(classifier, 'class_norm') or classifier.gain is not None:
            raise TypeError(
                'C2AMLoss expects a cosine classifier in its head, got '
                f"{type(classifier).__name__}. Use cls_predictor_cfg=dict(type='CosineLinear', "
                'scale=30.0, learns_scale=False), without gains.')
        self._classifier[:] = [classifier]

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(N,), cross entropy of :func:`c2am_logits`.

        Raises:
            RuntimeError: if nobody has told the classifier.
        """
        if not self._classifier:
            raise RuntimeError(
                'C2AMLoss does not know the classifier of its head. Build the head from a config, '
                'with MODELS.build, or call set_classifier(head.fc_cls).')
        classifier, = self._classifier
        return softmax_ce_loss(c2am_logits(
            logits, labels, classifier.class_norm, classifier.scale, self.alpha), labels)
