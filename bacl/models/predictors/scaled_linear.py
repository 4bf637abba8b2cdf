"""Learnable weight scaling (LWS): a trained classifier of which only the norms learn on."""
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn

from .linear import LinearPredictor


@MODELS.register_module()
class ScaledLinear(LinearPredictor):
    """Linear classifier whose weight vectors have a factor each.

    With f_c the factor of class c, which starts at 1::

        z_c = f_c <w_c, x> + b_c        or, with ``scales_bias``,  z_c = f_c (<w_c, x> + b_c)

    In stage 2 nothing learns but the factors, on classes sampled alike:
    ``DecoupledTwoStageDetector(trainable=('class_scale',))``.

    Args:
        in_features: D.
        out_features: number of logits; one for the background also gets a factor.
        scales_bias: as in the authors' code for classification. The code of EQL v2, which tried it
            in detection, leaves the bias alone.

    Reference:
        Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR
        2020, Section 4.
    """

    starts_empty = ('class_scale',)  # stage 1 has no factors

    def __init__(self, in_features: int, out_features: int, scales_bias: bool = False) -> None:
        super().__init__(in_features, out_features)
        self.scales_bias = scales_bias
        self.class_scale = nn.Parameter(torch.ones(out_features))

    def reset_parameters(self) -> None:
        """See :meth:`ClassPredictor.reset_parameters`; W and b are the head's."""
        nn.init.ones_(self.class_scale)

    def forward(self, feats: Tensor) -> Tensor:
        """See :meth:`ClassPredictor.forward`."""
        if self.scales_bias:
            return self.class_scale * super().forward(feats)
        return self.class_scale * F.linear(feats, self.weight) + self.bias
