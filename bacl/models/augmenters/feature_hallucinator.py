"""The feature hallucination module (FHM): statistics in, training features out."""
import torch
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from torch import Tensor

from .base import ExtraSamples, FeatureAugmenter, Samples
from .class_feature_distribution import ClassFeatureDistribution
from .class_sampler import class_probability, sample_classes


@MODELS.register_module()
class FeatureHallucinator(FeatureAugmenter):
    """Learns what the features of every class look like and draws new ones for weak classes.

    Composed of a box generator (Eq. 10), a feature distribution (Eq. 11), a class sampler
    (Eq. 12) and the draw itself (Eq. 13). Every hallucinated sample counts like a RoI.

    ``hallucinating`` switches the draw off until its start epoch
    (:class:`~bacl.engine.hooks.ShortTermIndicatorHook`); statistics are collected meanwhile.

    Args:
        num_classes: C, > 0.
        num_feats: D, number of inputs of the classifier.
        num_sampled_classes: c, classes drawn per step, with replacement, > 0 (8 in the paper).
        num_features_per_class: m, features per drawn class, > 0 (12 in the paper).
        momentum: weight of the new moments, 1 - beta, in (0, 1] (0.1 in the paper).
        sync: merge the moments of all ranks; see :class:`ClassFeatureDistribution`.
        box_generator: config of the module that jitters ground-truth boxes.
        indicator: see :class:`FeatureAugmenter`; with a loss that has none, such as
            ``dict(type='ImageFrequency')``.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Section III-E.
    """

    needs_strength = True

    def __init__(self, num_classes: int, num_feats: int, num_sampled_classes: int = 8,
                 num_features_per_class: int = 12, momentum: float = 0.1, sync: bool = True,
                 box_generator: ConfigType = dict(type='GTBoxGenerator'),  # noqa: B006
                 indicator: ConfigType | None = None) -> None:
        super().__init__(num_classes, num_feats, indicator)
        for name, value in (('num_sampled_classes', num_sampled_classes),
                            ('num_features_per_class', num_features_per_class)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f'FeatureHallucinator({name}=) expects a positive int, '
                                 f'got {value!r}.')
        self.num_sampled_classes = num_sampled_classes
        self.num_features_per_class = num_features_per_class
        self.hallucinating = True
        self.box_generator = MODELS.build(box_generator)
        self.distribution = ClassFeatureDistribution(num_classes, num_feats, momentum, sync)

    def forward(self, rois: Samples, boxes: Samples, strength: Tensor) -> ExtraSamples:
        """See :meth:`FeatureAugmenter.forward`; the statistics are those of the boxes."""
        self.distribution.observe(boxes.feats, boxes.labels)
        if not self.hallucinating:
            return ExtraSamples(boxes.feats[:0], boxes.labels[:0])
        return self.hallucinate(strength)

    @torch.no_grad()
    def hallucinate(self, strength: Tensor) -> ExtraSamples:
        """Draw features of weak classes. A drawn class without statistics yields void ones.

        How many there are depends on no value, so no host waits for a GPU to count them.

        Args:
            strength: (C,), in [0, 1], of a long-term indicator.

        Returns:
            P = c * m samples. Ranks draw differently if their random streams differ: mmengine's
            default seeds all ranks alike, this package's configs set
            ``randomness=dict(seed=None, diff_rank_seed=True)``.
        """
        device = strength.device
        uniform = torch.rand(self.num_sampled_classes, dtype=strength.dtype, device=device)
        classes = sample_classes(class_probability(strength), uniform)
        mean = self.distribution.mean
        noise = torch.randn(self.num_sampled_classes, self.num_features_per_class, mean.size(1),
                            dtype=mean.dtype, device=device)
        feats = self.distribution.sample(classes, noise)
        labels = classes.masked_fill(~self.distribution.is_known[classes], self.num_classes)
        return ExtraSamples(feats.flatten(0, 1),
                            labels.repeat_interleave(self.num_features_per_class))

    def scalars(self) -> dict[str, float]:
        """``fhm/known_classes``: number of classes whose features are known."""
        return {'fhm/known_classes': self.distribution.is_known.sum().item()}
