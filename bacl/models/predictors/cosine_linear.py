"""Cosine classifier: logits that do not depend on how long features are."""
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn

from .base import ClassPredictor


def cosines(feats: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Cosine of the angle between each feature vector and each row of a weight matrix.

    A feature vector of zeros has none; it gets 0.

    Args:
        feats: (..., D); half precision is computed with in float32, in which ``eps`` is no zero.
        weight: (M, D).
        eps: added to the norm of the features, > 0.

    Returns:
        (..., M), in [-1, 1].
    """
    with torch.autocast(feats.device.type, enabled=False):
        feats, weight = (x.to(torch.promote_types(x.dtype, torch.float32))
                         for x in (feats, weight))
        feats = feats / (feats.norm(dim=-1, keepdim=True) + eps)
        return F.linear(feats, F.normalize(weight, dim=1))


@MODELS.register_module()
class CosineLinear(ClassPredictor):
    """Cosine of feature and class weight times a factor; no bias.

    With s the scale, g_c the gain of class c, or 1::

        z_c = s g_c <x / (|x| + eps), w_c / |w_c|>

    mmdet's ``NormedLinear`` has a bias and neither a scale that learns nor gains.

    Args:
        in_features: D.
        out_features: number of logits.
        scale: s, or what it starts from, > 0.
        learns_scale: whether s is a parameter.
        with_gain: whether each class has a gain, a parameter. The layer is then weight
            normalisation (Salimans & Kingma, 2016) on features of length one, and gains start as
            the norms of the weights, some 0.58.
        eps: added to the norm of the features, > 0.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Zhang et al., "Distribution Alignment", CVPR 2021 (cosine classifier, the defaults);
        Chang et al., "Image-Level or Object-Level? A Tale of Two Resampling Strategies for
        Long-Tailed Detection", ICML 2021 (scale 48, which is fixed, gains and eps 1e-5).
    """

    def __init__(self, in_features: int, out_features: int, scale: float = 20.0,
                 learns_scale: bool = True, with_gain: bool = False, eps: float = 1e-12) -> None:
        super().__init__(in_features, out_features)
        for name, value in (('scale', scale), ('eps', eps)):
            if not value > 0:
                raise ValueError(f'{type(self).__name__}({name}=) expects a number > 0, '
                                 f'got {value!r}.')
        self.initial_scale, self.eps = scale, eps
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.scale = nn.Parameter(torch.empty(1)) if learns_scale else scale
        self.gain = nn.Parameter(torch.empty(out_features)) if with_gain else None
        self.reset_parameters()

    @property
    def class_norm(self) -> Tensor:
        """(``out_features``,), > 0: norms of the weights, without gradient; no logit shows them."""
        return self.weight.detach().norm(dim=1).clamp(min=1e-12)  # as F.normalize does

    def reset_parameters(self) -> None:
        """See :meth:`ClassPredictor.reset_parameters`."""
        if self.gain is None:
            nn.init.normal_(self.weight, std=0.01)
        else:
            bound = self.in_features ** -0.5  # that of torch's linear layers
            nn.init.uniform_(self.weight, -bound, bound)
            self.gain.data.copy_(self.weight.detach().norm(dim=1))
        if isinstance(self.scale, nn.Parameter):
            nn.init.constant_(self.scale, self.initial_scale)

    def forward(self, feats: Tensor) -> Tensor:
        """See :meth:`ClassPredictor.forward`."""
        factor = self.scale if self.gain is None else self.scale * self.gain
        return factor * cosines(feats, self.weight, self.eps)
