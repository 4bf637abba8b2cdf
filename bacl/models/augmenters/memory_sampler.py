"""Memory-based feature sampling (MFS) of LOCE: stored features of classes with low scores."""
import torch
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from torch import Tensor

from .base import ExtraSamples, FeatureAugmenter, Samples
from .class_sampler import sample_classes
from .feature_memory import FeatureMemory


def inverse_score_probability(score: Tensor) -> Tensor:
    """Sampling probability of every class, inversely proportional to its mean score s::

        p_i = (1 / (s_i + 1e-7)) / sum_k (1 / (s_k + 1e-7))

    Args:
        score: (C,), in [0, 1].

    Returns:
        (C,), sums to 1.
    """
    inverse = 1 / (score + 1e-7)
    return inverse / inverse.sum()


@MODELS.register_module()
class MemorySampler(FeatureAugmenter):
    """Stores features around the ground truth and gives those of classes that score low.

    In a step the features of the jittered boxes are stored; then classes are drawn with
    replacement by :func:`inverse_score_probability`, and features of each, with replacement. They
    are classified and regressed like RoIs. A drawn class without stored features yields void ones.

    Stored are inputs of the classifier. The official code stores what RoIAlign gives, 12 times as
    much, and runs the frozen layers of the box head again; that is the same as long as they are
    frozen.

    Args:
        num_classes: C, > 0.
        num_feats: D, number of inputs of the classifier.
        num_sampled_classes: classes drawn per step, > 0 (8 in the paper).
        num_features_per_class: features per drawn class, > 0 (4 in the paper).
        capacity: features of a class that are stored, > 0 (80 in the paper).
        sync: store those of all ranks; see :class:`FeatureMemory`.
        box_generator: config of the module that jitters ground-truth boxes.
        indicator: see :class:`FeatureAugmenter`; None takes that of the loss.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Feng et al., "Exploring Classification Equilibrium in Long-Tailed Object Detection", ICCV
        2021, the memory-augmented feature sampling.
    """

    needs_strength = True
    uses_box_targets = True

    def __init__(self, num_classes: int, num_feats: int, num_sampled_classes: int = 8,
                 num_features_per_class: int = 4, capacity: int = 80, sync: bool = True,
                 box_generator: ConfigType = dict(type='GTBoxGenerator'),  # noqa: B006
                 indicator: ConfigType | None = None) -> None:
        super().__init__(num_classes, num_feats, indicator)
        for name, value in (('num_sampled_classes', num_sampled_classes),
                            ('num_features_per_class', num_features_per_class)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f'MemorySampler({name}=) expects a positive int, got {value!r}.')
        self.num_sampled_classes = num_sampled_classes
        self.num_features_per_class = num_features_per_class
        self.box_generator = MODELS.build(box_generator)
        # The first, as the official code: it matters where a step has more boxes of a class than
        # fit, of which any will do.
        self.memory = FeatureMemory(num_classes, num_feats, capacity, 'first', sync)

    def forward(self, rois: Samples, boxes: Samples, strength: Tensor) -> ExtraSamples:
        """See :meth:`FeatureAugmenter.forward`."""
        self.memory.push(boxes)
        classes = sample_classes(inverse_score_probability(strength), torch.rand(
            self.num_sampled_classes, dtype=strength.dtype, device=strength.device))
        size = self.memory.size()[classes, None]
        uniform = torch.rand(len(classes), self.num_features_per_class, device=strength.device)
        # A product may round up to the size.
        slots = (uniform * size).long().minimum((size - 1).clamp(min=0))
        return self.memory.take(classes, slots, (size > 0).expand_as(slots))
