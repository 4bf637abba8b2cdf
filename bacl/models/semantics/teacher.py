"""The interface of semantic teachers.

Shapes: B images, G boxes, C classes, D dimensions of embeddings.
"""
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from bacl.ops import promoted
from mmdet.structures import DetDataSample, SampleList
from mmdet.structures.bbox import get_box_tensor
from torch import Tensor, nn

from .embedding_cache import EmbeddingCache

DETECTION = 'detection'  # the source of samples that do not name one
_STRIDE = 8  # between the pixels that tell views of an image apart


class SemanticTeacher(nn.Module, ABC):
    """Knows, without having been trained on them, what boxes show: a score for each class.

    Images and names of classes are embedded in one space. The logits of a box are cosines of its
    embedding with those of the classes, times a scale; their softmax is its soft label. A teacher
    is frozen, in evaluation mode, and no part of the model that it teaches: neither in its
    checkpoints nor with its optimizer.

    Args:
        scale: factor of the cosines, > 0: the inverse of the softmax's temperature.
        cached_sources: sources whose embeddings are kept in memory, once computed, by the path of
            the image, some of its pixels and its boxes: of samples that change by nothing but
            flips, since every other view would be kept, too. 'detection' stands for samples without
            a source.
        cache_file: where they are kept, too, for other trainings with this teacher; see
            :class:`.EmbeddingCache`. None keeps them in memory alone.

    Attributes:
        class_embeddings: (C, D), not normalised, once :meth:`set_classes` was called.

    Raises:
        ValueError: if an argument is out of its range; by :meth:`set_classes`, if ``cache_file`` is
            that of another teacher.
    """

    class_embeddings: Tensor

    def __init__(self, scale: float, cached_sources: Sequence[str] = (),
                 cache_file: str | os.PathLike | None = None) -> None:
        super().__init__()
        if not scale > 0:
            raise ValueError(f'{type(self).__name__}(scale=) expects a number > 0, got {scale!r}.')
        self.scale = scale
        if isinstance(cached_sources, str) or (cache_file is not None and not cached_sources):
            raise ValueError(
                f'{type(self).__name__}(cached_sources=) expects a list of sources, with a '
                f"cache_file one at least, got {cached_sources!r}. Name them, as in ['detection'], "
                'or keep nothing: cache_file=None.')
        self.cached_sources = frozenset(cached_sources)
        self.cache_file = cache_file
        self.register_buffer('class_embeddings', None)
        self._cache: dict[tuple, Tensor] = {}
        self._file: EmbeddingCache | None = None

    @abstractmethod
    def embed_names(self, names: Sequence[str]) -> Tensor:
        """(C, D): embeddings of the names of classes."""

    @abstractmethod
    def embed_boxes(self, images: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """Embeddings of what boxes show.

        Args:
            images: (B, 3, H, W), RGB in [0, 1].
            boxes: of each image, (G_b, 4), x1, y1, x2, y2 in pixels.

        Returns:
            (G, D), those of the first image first.
        """

    def plain_name(self, name: str) -> str:
        """A name of a class as text: with spaces for underscores."""
        return name.replace('_', ' ').strip()

    @torch.no_grad()
    def set_classes(self, names: Sequence[str]) -> None:
        """Embed the names of the classes, in the order of labels.

        Raises:
            ValueError: if a name is empty, or two are the same as text, in capitals or not.
        """
        plain = [self.plain_name(name) for name in names]
        folded = [' '.join(text.casefold().split()) for text in plain]
        faults = [repr(name) for name, text in zip(names, folded, strict=True)
                  if not text or folded.count(text) > 1]
        if faults:
            raise ValueError(
                f'{type(self).__name__} expects names of classes that differ as text, got '
                f'{", ".join(faults[:6])}. Name them apart in the annotation file.')
        self.requires_grad_(False).eval()
        self.class_embeddings = self.embed_names(plain)
        self._cache.clear()
        if self.cache_file is not None:
            self._file = EmbeddingCache(self.cache_file, self._probe())

    def train(self, mode: bool = True) -> nn.Module:
        """Always evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor, samples: SampleList) -> list[Tensor]:
        """The logits of the boxes of each image, (G_b, C).

        Args:
            images: (B, 3, H, W), RGB in [0, 1].
            samples: with ``gt_instances.bboxes``.
        """
        boxes = [get_box_tensor(sample.gt_instances.bboxes) for sample in samples]
        cached = [index for index, sample in enumerate(samples)
                  if sample.get('source', DETECTION) in self.cached_sources]
        embeddings = self._remembered(images, samples, boxes, cached) if cached else {}
        others = [index for index in range(len(samples)) if index not in embeddings]
        if others:
            asked = [boxes[index] for index in others]
            embeddings |= zip(others, self._embed(images[others], asked).split(
                list(map(len, asked))), strict=True)
        classes = F.normalize(self.class_embeddings, dim=1)
        return [self.scale * F.normalize(embeddings[index], dim=1) @ classes.t()
                for index in range(len(samples))]

    def _embed(self, images: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """What :meth:`embed_boxes` gives, in float32 at least, also for no boxes."""
        if not sum(map(len, boxes)):
            return images.new_zeros(0, self.class_embeddings.size(1))
        return promoted(self.embed_boxes(images, boxes))

    def _remembered(self, images: Tensor, samples: SampleList, boxes: Sequence[Tensor],
                    indices: Sequence[int]) -> dict[int, Tensor]:
        """Embeddings of the boxes of some images, by their indices, from memory if possible."""
        corners = torch.cat([boxes[index] for index in indices]).tolist()  # one copy for all
        embeddings = {}
        for index in indices:
            sample, num_boxes = samples[index], len(boxes[index])
            places, corners = corners[:num_boxes], corners[num_boxes:]
            height, width = sample.img_shape[:2]
            shown = images[index, :, :height:_STRIDE, :width:_STRIDE]
            key = (sample.img_path, hashlib.blake2b(shown.cpu().numpy().tobytes()).digest(),
                   *(round(side, 2) for box in places for side in box))
            if key not in self._cache:
                self._cache[key] = self._embed_alone(images[index], sample, boxes[index])
            embeddings[index] = self._cache[key].to(images.device)
        return embeddings

    def _embed_alone(self, image: Tensor, sample: DetDataSample, boxes: Tensor) -> Tensor:
        """Embeddings of the boxes of an image, whatever batch it is in, or from the file.

        Beside larger images it would have another border.
        """
        height, width = sample.img_shape[:2]
        image = image[:, :height, :width]
        known = None if self._file is None else self._file.get(image, boxes)
        if known is not None:
            return known.to(image.device)
        embeddings = self._embed(image[None], [boxes])
        if self._file is not None:
            self._file.put(image, boxes, embeddings)
        return embeddings

    def _probe(self) -> Tensor:
        """What it makes of a fixed picture, (2, D)."""
        picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        boxes = torch.tensor([[0., 0, 64, 64], [8, 16, 40, 40]])
        like = self.class_embeddings
        return self._embed(picture.to(like.device), [boxes.to(like.device)])
