"""FASA: virtual features of rare classes, whose number adapts to how well their groups learn."""
from collections.abc import Sequence
from os import PathLike

import torch
import torch.nn.functional as F
from bacl.ops import affinity_propagation, foreground_rows, promoted
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from mmengine.dist import all_reduce
from torch import Tensor

from ..class_counts import ClassCounts
from .base import ExtraSamples, FeatureAugmenter, Samples
from .class_feature_distribution import ClassFeatureDistribution


def inverse_count_probability(counts: Tensor, scale: float = 1.0, power: float = 1.0) -> Tensor:
    """Probability of a virtual feature of each class in a step, falling with its instances::

        p_i = min(1, scale * ((1 / n_i) / sum_k (1 / n_k)) ** power)

    With the defaults a step has one virtual feature on average. A class without instances counts as
    one with one.

    Args:
        counts: (C,), >= 0, instances in the training data.
        scale: >= 0.
        power: >= 0.

    Returns:
        (C,), in [0, 1].
    """
    inverse = 1 / counts.clamp(min=1)
    return (scale * (inverse / inverse.sum()) ** power).clamp(max=1)


@MODELS.register_module()
class FASA(FeatureAugmenter):
    """Feature augmentation and sampling adaptation.

    *Augmentation*: the features of the sampled RoIs of each class follow a normal distribution
    (:class:`ClassFeatureDistribution`). From epoch ``start`` on, a step has of every class a
    virtual feature from it with the probability of the class. All together they add
    ``total_weight`` times their mean loss.

    *Adaptation*: before every epoch, known classes are grouped by their mean features
    (:func:`~bacl.ops.affinity_propagation` on negative squared distances). If the loss of a group
    has risen since the time before, the probabilities of its classes are multiplied by ``down``,
    if it has fallen by ``up``; the first time there is nothing to compare with. The loss of a class
    is the sum of the softmax cross entropies of its RoIs, divided by the number of *all* RoIs. It
    is collected in the training steps of the epoch or, with ``held_out``, in the passes of a
    :class:`~bacl.engine.hooks.HeldOutLossHook`, as in the official code, which looks at the
    validation set.

    State: moments, ``probability`` (C,), NaN until it is adapted, ``reference_loss`` (C + 1,), NaN
    until it is known, and what the current epoch collects; summed over ranks. The loss is
    a softmax over the C classes and background; a head with another is refused.

    Args:
        num_classes: C, > 0.
        num_feats: D, number of inputs of the classifier.
        momentum: weight of the new moments, in (0, 1] (0.1 in the paper).
        total_weight: weight of the mean loss of the virtual features, >= 0 (0.1 in the paper).
        scale: see :func:`inverse_count_probability` (1 in the paper).
        power: see there (1 in the paper).
        up: factor of the probabilities where the loss falls, >= 1 (1.1 in the paper).
        down: factor of the probabilities where it rises, in [0, 1] (0.9 in the paper).
        start: first epoch, counted from 0, with virtual features (1 in the paper).
        max_features: virtual features of a step, > 0; of more those whose probability exceeds
            their draw most. It bounds what a step costs, which must not depend on a draw.
        held_out: adapt to losses of held-out images.
        counts: numbers of training instances; see
            :class:`~bacl.models.class_counts.ClassCountsMixin`.
        ann_file: see there.
        sync: merge the moments of all ranks; see :class:`ClassFeatureDistribution`.
        indicator: see :class:`FeatureAugmenter`.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Zang, Huang and Loy, "FASA: Feature Augmentation and Sampling Adaptation for Long-Tailed
        Instance Segmentation", ICCV 2021.
    """

    activation = 'softmax'

    def __init__(self, num_classes: int, num_feats: int, momentum: float = 0.1,
                 total_weight: float = 0.1, scale: float = 1.0, power: float = 1.0,
                 up: float = 1.1, down: float = 0.9, start: int = 1, max_features: int = 64,
                 held_out: bool = False, counts: Sequence[int] | None = None,
                 ann_file: str | PathLike | None = None, sync: bool = True,
                 indicator: ConfigType | None = None) -> None:
        super().__init__(num_classes, num_feats, indicator)
        for name, value, expected, is_valid in (
                ('total_weight', total_weight, 'a number >= 0', total_weight >= 0),
                ('scale', scale, 'a number >= 0', scale >= 0),
                ('power', power, 'a number >= 0', power >= 0),
                ('up', up, 'a number >= 1', up >= 1),
                ('down', down, 'a number in [0, 1]', 0 <= down <= 1),
                ('start', start, 'an epoch >= 0', start >= 0),
                ('max_features', max_features, 'a positive int', max_features >= 1)):
            if not is_valid:
                raise ValueError(f'FASA({name}=) expects {expected}, got {value!r}.')
        self.total_weight = total_weight
        self.scale, self.power = scale, power
        self.up, self.down = up, down
        self.start = start
        self.max_features = max_features
        self.held_out = held_out
        self.epoch = 0
        self.distribution = ClassFeatureDistribution(num_classes, num_feats, momentum, sync)
        self.class_counts = ClassCounts(num_classes, 'instance_count', counts, ann_file)
        for name, shape, value in (('probability', num_classes, torch.nan),
                                   ('reference_loss', num_classes + 1, torch.nan),
                                   ('loss_sum', num_classes + 1, 0),
                                   ('num_rois', num_classes + 1, 0)):
            self.register_buffer(name, torch.full((shape,), value, dtype=torch.float64))

    def current_probability(self) -> Tensor:
        """(C,), float64, in [0, 1], probability of a virtual feature of each class."""
        initial = inverse_count_probability(self.class_counts.known_counts(), self.scale,
                                            self.power)
        return torch.where(self.probability.isnan(), initial, self.probability)

    def start_epoch(self, epoch: int) -> None:
        """Adapt to the losses of the epoch before, if there was one."""
        self.epoch = epoch
        if self.num_rois.any():
            known = self.distribution.is_known.nonzero().squeeze(1)
            means = self.distribution.mean[known].double().cpu()
            groups = affinity_propagation(-torch.cdist(means, means).square().numpy())
            self.adapt(torch.from_numpy(groups).to(known.device), known)

    @torch.no_grad()
    def adapt(self, groups: Tensor, classes: Tensor) -> None:
        """Move the probabilities by the losses that were collected, and collect anew.

        Args:
            groups: (K,), int64 in [0, K), of the classes.
            classes: (K,), int64 in [0, C); the others keep their probability.
        """
        loss = self.loss_sum / self.num_rois.sum().clamp(min=1)
        change = torch.zeros(len(groups), dtype=loss.dtype, device=loss.device)
        change.index_add_(0, groups, (loss - self.reference_loss)[classes])
        factor = torch.ones_like(change)
        factor.masked_fill_(change > 0, self.down).masked_fill_(change < 0, self.up)
        probability = self.current_probability()
        probability[classes] *= factor[groups]
        self.probability.copy_(probability.clamp(max=1))
        self.reference_loss.copy_(loss)
        self.loss_sum.zero_()
        self.num_rois.zero_()

    def forward(self, rois: Samples, boxes: Samples | None,
                strength: Tensor | None) -> ExtraSamples:
        """See :meth:`FeatureAugmenter.forward`."""
        self.distribution.observe(rois.feats, rois.labels)
        if self.epoch < self.start:
            return ExtraSamples(rois.feats[:0], rois.labels[:0], total_weight=self.total_weight)
        device = rois.feats.device
        labels = self.draw(torch.rand(self.num_classes, dtype=torch.float64, device=device))
        labels = labels[foreground_rows(labels, self.num_classes)]
        noise = torch.randn(len(labels), 1, self.num_feats, dtype=self.distribution.mean.dtype,
                            device=device)
        return self.generate(labels, noise)

    def draw(self, uniform: Tensor) -> Tensor:
        """Draw classes that have a virtual feature.

        Args:
            uniform: (C,), draws from U[0, 1).

        Returns:
            (min(max_features, C),), int64 in [0, C], rising: the known classes whose draw is below
            their probability, and C for the rest.
        """
        excess = self.current_probability() - uniform
        excess = excess.masked_fill(~self.distribution.is_known, -1)
        most = excess.topk(min(self.max_features, self.num_classes))
        return most.indices.masked_fill(most.values <= 0, self.num_classes).sort().values

    def generate(self, labels: Tensor, noise: Tensor) -> ExtraSamples:
        """Virtual features.

        Args:
            labels: (P,), int64 in [0, C].
            noise: (P, 1, D), standard normal.
        """
        classes = labels.clamp(max=self.num_classes - 1)
        feats = self.distribution.sample(classes, noise).flatten(0, 1)
        return ExtraSamples(feats, labels, total_weight=self.total_weight)

    @torch.no_grad()
    def observe(self, logits: Tensor, labels: Tensor, num_rois: int) -> None:
        """See :meth:`FeatureAugmenter.observe`; collects the losses of the RoIs.

        Raises:
            ValueError: if the classifier has other than C + 1 channels.
        """
        super().observe(logits, labels, num_rois)
        if self.training == self.held_out:
            return
        if logits.size(1) != self.num_classes + 1:
            raise ValueError(f'FASA expects the logits of a softmax over {self.num_classes} '
                             f'classes and background, got {logits.size(1)} channels.')
        labels = labels[:num_rois]
        loss = F.cross_entropy(promoted(logits[:num_rois]), labels, reduction='none').double()
        sums = self.loss_sum.new_zeros(2, self.num_classes + 1)
        sums.index_add_(1, labels, torch.stack([loss, torch.ones_like(loss)]))
        all_reduce(sums)
        self.loss_sum += sums[0]
        self.num_rois += sums[1]

    def scalars(self) -> dict[str, Tensor]:
        """``fasa/probability``: (C,), of a virtual feature of each class in a step."""
        return {'fasa/probability': self.current_probability()}
