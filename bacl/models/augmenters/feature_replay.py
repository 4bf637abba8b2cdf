"""Feature replay of RIO: stored features of the rare classes that a batch shows."""
from collections.abc import Sequence
from os import PathLike

import torch
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from torch import Tensor

from ..class_counts import ClassCounts
from .base import ExtraSamples, FeatureAugmenter, Samples
from .feature_memory import FeatureMemory


@MODELS.register_module()
class FeatureReplay(FeatureAugmenter):
    """Repeats the latest features of the rare classes in a batch: resampling of objects.

    In a step every rare class among the RoIs of this rank gets its newest stored features, which
    are classified and regressed like RoIs; then the RoIs of rare classes are stored. So a class
    gives nothing the first time. Replayed features come without gradient to what made them.

    Args:
        num_classes: C, > 0.
        num_feats: D, number of inputs of the classifier.
        capacity: features of a class that are stored, > 0 (60 in the paper).
        num_features_per_class: features that a class gets, in [1, capacity] (20 in the paper).
        max_images: a class is rare with at most this many training images, >= 0 (30 in the paper).
        max_classes: classes that get features in a step, > 0; of more the rarest. It bounds what a
            step costs, which must not depend on what is in the batch.
        counts: numbers of training images; see
            :class:`~bacl.models.class_counts.ClassCountsMixin`.
        ann_file: see there.
        sync: store the RoIs of all ranks; see :class:`FeatureMemory`.
        indicator: see :class:`FeatureAugmenter`.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Chang et al., "Image-Level or Object-Level? A Tale of Two Resampling Strategies for
        Long-Tailed Detection", ICML 2021.
    """

    uses_box_targets = True

    def __init__(self, num_classes: int, num_feats: int, capacity: int = 60,
                 num_features_per_class: int = 20, max_images: int = 30, max_classes: int = 16,
                 counts: Sequence[int] | None = None, ann_file: str | PathLike | None = None,
                 sync: bool = True, indicator: ConfigType | None = None) -> None:
        super().__init__(num_classes, num_feats, indicator)
        self.memory = FeatureMemory(num_classes, num_feats, capacity, 'last', sync)
        for name, value, low, high in (
                ('num_features_per_class', num_features_per_class, 1, capacity),
                ('max_images', max_images, 0, None), ('max_classes', max_classes, 1, None)):
            if not isinstance(value, int) or value < low or high is not None and value > high:
                raise ValueError(f'FeatureReplay({name}=) expects an int >= {low}' + (
                    f' and <= {high}' if high is not None else '') + f', got {value!r}.')
        self.num_features_per_class = num_features_per_class
        self.max_images = max_images
        self.max_classes = max_classes
        self.class_counts = ClassCounts(num_classes, 'image_count', counts, ann_file)

    def forward(self, rois: Samples, boxes: Samples | None,
                strength: Tensor | None) -> ExtraSamples:
        """See :meth:`FeatureAugmenter.forward`."""
        count = self.class_counts.known_counts()
        is_rare = count <= self.max_images
        extra = self.replay(rois.labels, torch.where(is_rare, 1 / (1 + count), 0))
        is_void = ~torch.cat([is_rare, is_rare.new_zeros(1)])
        self.memory.push(rois._replace(
            labels=rois.labels.masked_fill(is_void[rois.labels], self.num_classes)))
        return extra

    def replay(self, labels: Tensor, rarity: Tensor) -> ExtraSamples:
        """The newest stored features of rare classes.

        Args:
            labels: (N,), int64 in [0, C], of the RoIs.
            rarity: (C,), >= 0; 0 for classes that get nothing.

        Returns:
            At most ``max_classes * num_features_per_class`` samples, the newest of a class first.
        """
        is_here = torch.zeros(self.num_classes + 1, dtype=rarity.dtype, device=rarity.device)
        is_here.index_fill_(0, labels, 1)
        rarest = (is_here[:-1] * rarity).topk(min(self.max_classes, self.num_classes))
        age = torch.arange(self.num_features_per_class, device=labels.device)  # (m,)
        slots = (self.memory.num_stored[rarest.indices, None] - 1 - age) % self.memory.capacity
        is_there = (rarest.values[:, None] > 0) & (age < self.memory.size()[rarest.indices, None])
        return self.memory.take(rarest.indices, slots, is_there)
