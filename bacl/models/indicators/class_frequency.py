"""Class counts of the training dataset as long-term indicators (Table II, static)."""
from mmdet.registry import MODELS
from torch import Tensor

from ..class_counts import ClassCountsMixin
from .per_class import PerClassCount


class ClassFrequency(ClassCountsMixin, PerClassCount):
    """Base of the static indicators: counts that are known before training and stay.

    Where they come from: :class:`~bacl.models.class_counts.ClassCountsMixin`. Nothing is observed,
    so :meth:`observe` is no collective operation here, and :meth:`reset` keeps the counts.

    Log-ratio (Eq. 7) of counts clamped at 1 from below; strength (Eq. 12) is the count divided by
    the largest one. A class that the dataset lacks has count 0 and strength 0.

    Args:
        num_classes: C, > 0.
        counts: C whole numbers >= 0, in label order.
        ann_file: annotation file with C categories in label order.

    Raises:
        ValueError: if ``counts`` and ``ann_file`` are both given, or the counts are not C whole
            numbers >= 0.
        RuntimeError: on use without counts.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Table II, Eq. (7) and (12).
    """

    def observe(self, logits: Tensor, labels: Tensor) -> None:
        """Does nothing: the counts are those of the dataset."""

    def value(self) -> Tensor:
        """(C,), the counts."""
        return self.known_counts().clone()

    def reset(self) -> None:
        """Does nothing: nothing was observed."""


@MODELS.register_module()
class ImageFrequency(ClassFrequency):
    """f_i: number of training images with class i; see :class:`ClassFrequency`.

    Example:
        >>> indicator = ImageFrequency(num_classes=3, counts=[100, 10, 0])
        >>> indicator.strength().tolist()
        [1.0, 0.1, 0.0]
    """

    count_name = 'image_count'


@MODELS.register_module()
class InstanceFrequency(ClassFrequency):
    """F_i: number of training instances of class i; see :class:`ClassFrequency`."""

    count_name = 'instance_count'
