"""DisAlign: the logits of a trained classifier, aligned with a balanced distribution."""
import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

from .cosine_linear import CosineLinear
from .linear import LinearPredictor


def align_logits(logits: Tensor, confidence: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Mix the logits of each class with what an affine function of its own makes of them.

    With k the confidence of the sample::

        z'_c = k (scale_c z_c + bias_c) + (1 - k) z_c

    The logit of the background stays.

    Args:
        logits: (N, C + 1), background last.
        confidence: (N, 1), in [0, 1].
        scale: (C,).
        bias: (C,).

    Returns:
        (N, C + 1).
    """
    classes, background = logits[:, :-1], logits[:, -1:]
    aligned = confidence * (scale * classes + bias) + (1 - confidence) * classes
    return torch.cat([aligned, background.to(aligned.dtype)], dim=1)


class DisAlignMixin:
    """Adds the alignment of DisAlign to a predictor with C + 1 outputs; see :func:`align_logits`.

    The confidence of a sample is a sigmoid of a linear function of its features. At the start
    scale is 1 and bias 0, so that the logits are those of the predictor; the confidence then learns
    only once these have moved.

    The paper defines it on the scores of a softmax: what is aligned is one distribution over the
    classes, with that of the balanced reference. A head with another loss is refused.

    In stage 2 nothing learns but ``logit_scale`` (C,), ``logit_bias`` (C,) and ``confidence``:
    ``DecoupledTwoStageDetector(trainable=('logit_scale', 'logit_bias', 'confidence'))``. The loss
    is :class:`~bacl.models.losses.GRWCrossEntropyLoss`.

    Reference:
        Zhang et al., "Distribution Alignment: A Unified Framework for Long-tail Visual
        Recognition", CVPR 2021.
    """

    needs_background = True
    activation = 'softmax'
    starts_empty = ('logit_scale', 'logit_bias', 'confidence')  # stage 1 has no alignment

    def __init__(self, in_features: int, out_features: int, **kwargs) -> None:
        super().__init__(in_features, out_features, **kwargs)
        self.logit_scale = nn.Parameter(torch.ones(out_features - 1))
        self.logit_bias = nn.Parameter(torch.zeros(out_features - 1))
        self.confidence = nn.Linear(in_features, 1)
        self.reset_alignment()

    def reset_alignment(self) -> None:
        """Let the alignment change nothing."""
        nn.init.ones_(self.logit_scale)
        nn.init.zeros_(self.logit_bias)
        nn.init.normal_(self.confidence.weight, std=0.01)
        nn.init.zeros_(self.confidence.bias)

    def forward(self, feats: Tensor) -> Tensor:
        """(N, D) features to (N, C + 1) aligned logits."""
        return align_logits(super().forward(feats), self.confidence(feats).sigmoid(),
                            self.logit_scale, self.logit_bias)


@MODELS.register_module()
class DisAlignLinear(DisAlignMixin, LinearPredictor):
    """Linear classifier with alignment; see :class:`DisAlignMixin`.

    Args:
        in_features: D.
        out_features: C + 1.
    """

    def reset_parameters(self) -> None:
        """See :meth:`ClassPredictor.reset_parameters`; W and b are the head's."""
        self.reset_alignment()


@MODELS.register_module()
class DisAlignCosineLinear(DisAlignMixin, CosineLinear):
    """Cosine classifier with alignment; see :class:`DisAlignMixin`.

    Args:
        in_features: D.
        out_features: C + 1.
        **kwargs: of :class:`CosineLinear`.
    """

    def init_weights(self) -> None:
        """See :meth:`ClassPredictor.init_weights`."""
        super().init_weights()
        self.reset_alignment()
