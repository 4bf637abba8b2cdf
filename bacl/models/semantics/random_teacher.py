"""A teacher that knows nothing, for tests."""
import hashlib
from collections.abc import Sequence

import torch
from mmdet.registry import MODELS
from torch import Tensor
from torchvision.ops import roi_align

from .teacher import SemanticTeacher

_GRID = 4  # pixels of a side of what it sees of a box


@MODELS.register_module()
class RandomTeacher(SemanticTeacher):
    """Embeds names by random vectors and boxes by a random projection of their colours.

    The same name, and the same picture, always get the same embedding; no weights are needed.

    Args:
        embed_dims: D.
        seed: of the projection.
        **kwargs: of :class:`.SemanticTeacher`.
    """

    def __init__(self, embed_dims: int = 16, seed: int = 0, scale: float = 100.0,
                 **kwargs) -> None:
        super().__init__(scale, **kwargs)
        self.embed_dims = embed_dims
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer('projection', torch.randn(3 * _GRID ** 2, embed_dims,
                                                       generator=generator))

    def embed_names(self, names: Sequence[str]) -> Tensor:
        """See :meth:`.SemanticTeacher.embed_names`."""
        seeds = [int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], 'big')
                 for name in names]
        return torch.stack([torch.randn(self.embed_dims,
                                        generator=torch.Generator().manual_seed(seed))
                            for seed in seeds]).to(self.projection)

    def embed_boxes(self, images: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """See :meth:`.SemanticTeacher.embed_boxes`."""
        crops = roi_align(images, [box.to(images) for box in boxes], _GRID, aligned=True)
        return (crops.flatten(1) - 0.5) @ self.projection
