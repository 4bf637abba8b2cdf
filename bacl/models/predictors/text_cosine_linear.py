"""Cosine classifier against text embeddings: what a class is, its name says."""
from typing import Any

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

from .base import ClassPredictor
from .cosine_linear import cosines

_TOLERANCE = 1e-2  # of a text embedding, relative; devices and versions differ by less


@MODELS.register_module()
class TextCosineLinear(ClassPredictor):
    """Cosine of projected features and the text embedding of each class, times a fixed scale.

    With W the projection (D_text x D), the only weights, and e_c the embedding of class c::

        z_c = scale <W x / |W x|, e_c / |e_c|>

    There is no bias, hence no prior probability: at the start all classes score about alike. Where
    the loss has a channel for the background, its vector is learned, in the place of a text.

    Embeddings come, before training, from the semantic teacher of the detector
    (:class:`~bacl.models.detectors.ImageSupervisedDetector`), and are in the checkpoint. Without
    any, all logits would be 0.

    Args:
        in_features: D.
        out_features: number of logits: C, or C + 1 with the background.
        embed_dims: D_text, of the teacher.
        scale: > 0; RichSem takes that of CLIP, about 100.
        with_background: whether the last logit is that of the background.

    Raises:
        ValueError: if the scale is not positive; later, if embeddings of another shape are set, or
            others than those of the checkpoint.
        RuntimeError: when a training begins, if there are no embeddings.

    Reference:
        Meng et al., "Learning from Rich Semantics and Coarse Locations for Long-tailed Object
        Detection", NeurIPS 2023 (RichSem); for the background Gu et al., "Open-vocabulary Object
        Detection via Vision and Language Knowledge Distillation", ICLR 2022.
    """

    starts_empty = ('text_embeddings',)  # a checkpoint of another classifier has none

    def __init__(self, in_features: int, out_features: int, embed_dims: int,
                 scale: float = 100.0, with_background: bool = False) -> None:
        super().__init__(in_features, out_features)
        if not scale > 0:
            raise ValueError(f'TextCosineLinear(scale=) expects a number > 0, got {scale!r}.')
        self.scale = scale
        self.weight = nn.Parameter(torch.empty(embed_dims, in_features))
        self.background = nn.Parameter(torch.empty(1, embed_dims)) if with_background else None
        self.register_buffer('text_embeddings',
                             torch.zeros(out_features - with_background, embed_dims))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """See :meth:`ClassPredictor.reset_parameters`."""
        std = self.weight.size(0) ** -0.5
        nn.init.normal_(self.weight, std=std)
        if self.background is not None:
            nn.init.normal_(self.background, std=std)

    def set_text_embeddings(self, embeddings: Tensor) -> None:
        """Take the embeddings of the classes.

        Args:
            embeddings: (C, D_text), in the order of labels.

        Raises:
            ValueError: if they have another shape, or differ from those that the weights were
                trained with.
        """
        if embeddings.shape != self.text_embeddings.shape:
            raise ValueError(
                f'TextCosineLinear expects text embeddings of shape '
                f'{tuple(self.text_embeddings.shape)}, got {tuple(embeddings.shape)}. Set '
                'embed_dims to that of the teacher, num_classes to that of the data, and '
                'with_background if the loss has a channel for it.')
        known, given = self.text_embeddings, embeddings.to(self.text_embeddings)
        differs = (known - given).norm(dim=1) > _TOLERANCE * known.norm(dim=1)
        if known.any() and differs.any():
            raise ValueError(
                'TextCosineLinear expects the text embeddings of its checkpoint, got others for '
                f'{differs.sum()} of {len(differs)} classes: those of another teacher, or of other '
                'classes. Go on with the teacher and the classes of that training, or take '
                'text_embeddings out of the checkpoint.')
        known.copy_(given)

    def set_class_counts(self, table: Any) -> None:
        """Refuse to train without embeddings; a detector with a teacher has set them by then.

        Args:
            table: of the training data; nothing is taken from it.

        Raises:
            RuntimeError: if there are none.
        """
        if not self.text_embeddings.any():
            raise RuntimeError(
                'TextCosineLinear expects text embeddings of the classes before training, got '
                'none. Use it in a detector with a teacher, such as ImageSupervisedDetector.')

    def forward(self, feats: Tensor) -> Tensor:
        """See :meth:`ClassPredictor.forward`."""
        classes = self.text_embeddings
        if self.background is not None:
            classes = torch.cat([classes, self.background])
        return self.scale * cosines(feats @ self.weight.t(), classes, 1e-12)
