"""Balanced group softmax (BAGS): a softmax for each group of classes that occur about as often.

Shapes: N samples, C foreground classes, label C is background; G groups of classes.
"""
from collections.abc import Sequence
from itertools import pairwise

import torch
from bacl.ops import draw_samples, promoted
from mmdet.registry import MODELS
from torch import Tensor

from ..class_counts import ClassCounts
from .counted import CountedLoss


class ClassGroups(ClassCounts):
    """Groups of the classes by their training instances, and the channels of each group.

    The channels of a classifier are the C classes in label order, the "others" of each of the G
    groups, object and background. The last two are group G.

    Args:
        num_classes: C, > 0.
        thresholds: smallest number of instances in the groups 1, 2, ..., G - 1, rising.
        **kwargs: ``counts`` and ``ann_file`` of :class:`~bacl.models.class_counts.ClassCounts`.

    Attributes:
        sizes: channels of each of the G + 1 groups; this and the following once there are counts.
        channels: (C + G + 2,), int64, the channels, group after group.
        group: (C + 1,), int64 in [0, G], group of each label.
        targets: (C + 1, G + 1), int64, the right channel in each group, of each label.
    """

    def __init__(self, num_classes: int, thresholds: Sequence[float], **kwargs) -> None:
        self.thresholds = thresholds
        super().__init__(num_classes, 'instance_count', **kwargs)

    def counts_changed(self) -> None:
        """Group the classes."""
        num_classes, num_groups = self.num_classes, len(self.thresholds) + 1
        counts = self.counts.cpu()
        group = torch.bucketize(counts, counts.new_tensor(self.thresholds), right=True)
        every_class, every_group = torch.arange(num_classes), torch.arange(num_groups)
        is_in = torch.cat([group, every_group, torch.full((2,), num_groups)])
        self.sizes = is_in.bincount().tolist()
        others, objects = num_classes + every_group, num_classes + num_groups
        targets = torch.cat([others, torch.tensor([objects])]).repeat(num_classes + 1, 1)
        targets[every_class, group] = every_class
        targets[-1, -1] = objects + 1
        # Not in the checkpoint, which has the counts that they are made of.
        for name, value in (('channels', is_in.argsort(stable=True)), ('targets', targets),
                            ('group', torch.cat([group, torch.tensor([num_groups])]))):
            self.register_buffer(name, value.to(self.counts.device), persistent=False)


def group_log_normalizers(logits: Tensor, channels: Tensor, sizes: Sequence[int]) -> Tensor:
    """Logarithm of the denominator of each group's softmax.

    Args:
        logits: (N, channels).
        channels: see :class:`ClassGroups`.
        sizes: see :class:`ClassGroups`.

    Returns:
        (N, G + 1).
    """
    groups = logits.index_select(1, channels).split(sizes, dim=1)
    return torch.stack([group.logsumexp(dim=1) for group in groups], dim=1)


def sample_others(group: Tensor, num_groups: int, ratio: float,
                  is_present: Tensor | None = None, at_random: bool = True) -> Tensor:
    """Choose the samples that train each group.

    In a group of classes these are all samples of its classes, m in number, and at most
    ``ratio * m``, rounded down, of all other ones ("others"), drawn at random. Objectness, the last
    group, is trained by all.

    Args:
        group: (N,), int64 in [0, G], group of the label of each sample.
        num_groups: G.
        ratio: >= 0.
        is_present: (N,), bool, the samples that exist; None are all.
        at_random: False draws nothing, and gives the mean over all draws.

    Returns:
        (N, G + 1), float64: 1 for the samples that train a group, else 0.
    """
    is_member = group == torch.arange(num_groups, device=group.device)[:, None]  # (G, N)
    is_other = ~is_member
    if is_present is not None:
        is_member, is_other = is_member & is_present, is_other & is_present
    num_others = (ratio * is_member.sum(dim=1, dtype=torch.float64)).floor()
    chosen = is_member + draw_samples(is_other, num_others, at_random)
    return torch.cat([chosen, torch.ones_like(chosen[:1])]).t()


@MODELS.register_module()
class GroupSoftmaxLoss(CountedLoss):
    """Balanced group softmax: a softmax for each group of classes, and one for objectness.

    The classes are in G groups by their number of training instances. Each group has a channel
    "others" besides its classes, which is right for all samples of other groups and of the
    background. The loss is the sum over the groups of the mean cross entropy over the samples that
    train the group; see :func:`sample_others`. So classes compete only with those that occur about
    as often. The score of a class is its probability in its group times that of being an object::

        p_c = softmax_g(z)_c * softmax_G(z)_object        (g: group of c)

    A classifier has C + G + 2 outputs, for the channels of :class:`ClassGroups`: whatever the
    counts are, the classes come first. The official codes (FishYuLi/BalancedGroupSoftmax, and that
    of EQL v2) have them group after group, in two other orders; weights of theirs need their rows
    sorted.

    A sample of weight 0 is never drawn, and in ``eval()`` none is: the loss is the mean over all
    draws. The mean over a group is the weighted one, with a divisor of at least 1. For the template
    each sample costs its share times N, so that with the number of samples as ``avg_factor``, as
    mmdet's heads give it, the loss is the sum above.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        thresholds: smallest number of instances in the groups 1, 2, ..., G - 1, rising; none makes
            one group of all classes.
        others_ratio: largest number of samples of other groups in the training of a group, per
            sample of its classes, >= 0 (beta, 8 in the paper).
        **kwargs: of :class:`CountedLoss`; counts are those of instances.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Li et al., "Overcoming Classifier Imbalance for Long-tail Object Detection with Balanced
        Group Softmax", CVPR 2020.
    """

    count_name = 'instance_count'
    objectness_channels = 2
    has_relative_weights = True
    activation = 'sigmoid'  # scores of a sample do not sum to one

    def __init__(self, num_classes: int | None = None,
                 thresholds: Sequence[float] = (10, 100, 1000), others_ratio: float = 8.0,
                 **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.thresholds = self.check(
            'thresholds', tuple(thresholds), 'rising numbers',
            lambda v: all(low < high for low, high in pairwise(v)))
        self.others_ratio = self.check(
            'others_ratio', others_ratio, 'a number >= 0', lambda v: v >= 0)
        self.num_groups = len(self.thresholds) + 1
        self.extra_channels = self.num_groups + 2

    def init_state(self) -> None:
        """Make room for the counts and the groups."""
        self.class_counts = ClassGroups(self.num_classes, self.thresholds, **self._count_source)

    def known_groups(self) -> ClassGroups:
        """The groups, once there are counts; see :meth:`CountedLoss.known_counts`."""
        self.known_counts()
        return self.class_counts

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """(N, C + G + 2) logits to (N, C + 1) scores in [0, 1], background last."""
        groups = self.known_groups()
        logits = promoted(cls_score)
        log_sum = group_log_normalizers(logits, groups.channels, groups.sizes)
        in_group = logits[:, :self.num_classes] - log_sum.index_select(1, groups.group[:-1])
        objectness = (logits[:, -2:] - log_sum[:, -1:]).exp()
        return torch.cat([in_group.exp() * objectness[:, :1], objectness[:, 1:]], dim=1)

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy of every sample in every group, (N, G + 1)."""
        groups = self.known_groups()
        log_sum = group_log_normalizers(logits, groups.channels, groups.sizes)
        return log_sum - logits.gather(1, groups.targets[labels])

    def sample_losses(self, logits: Tensor, labels: Tensor, weight: Tensor | None) -> Tensor:
        """See :meth:`LongTailLoss.sample_losses`: N times the share in the sum over the groups."""
        is_present = None if weight is None else weight > 0
        chosen = sample_others(self.known_groups().group[labels], self.num_groups,
                               self.others_ratio, is_present, self.training).to(logits)
        chosen = chosen if weight is None else chosen * weight[:, None]
        num_samples = len(labels) if weight is None else is_present.sum()
        share = num_samples * chosen / chosen.sum(dim=0).clamp(min=1)
        return (self.elementwise(logits, labels) * share).sum(dim=1)
