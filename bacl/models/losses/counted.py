"""Base of the losses that know how often each class occurs in the training data."""
from collections.abc import Sequence
from os import PathLike

from torch import Tensor

from ..class_counts import ClassCounts, ImageShares
from .base import LongTailLoss


class CountedLoss(LongTailLoss):
    """A loss with the counts of the classes, which come from the config or the training data.

    Args:
        num_classes: see :class:`.LongTailLoss`.
        counts: see :class:`~bacl.models.class_counts.ClassCountsMixin`.
        ann_file: see there.
        **kwargs: of :class:`.LongTailLoss`.

    Attributes:
        count_name: which counts, 'image_count' or 'instance_count'.
        class_counts: the counts, once C is known.
    """

    count_name = 'image_count'
    # A checkpoint of another loss has no counts; the training data do.
    starts_empty = ('class_counts.counts',)

    def __init__(self, num_classes: int | None = None, counts: Sequence[int] | None = None,
                 ann_file: str | PathLike | None = None, **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self._count_source = dict(counts=counts, ann_file=ann_file)

    def init_state(self) -> None:
        """Make room for the counts."""
        self.class_counts = ClassCounts(self.num_classes, self.count_name, **self._count_source)

    def known_counts(self) -> Tensor:
        """(C,), float64; see :meth:`~bacl.models.class_counts.ClassCountsMixin.known_counts`."""
        return self.class_counts.known_counts()


class ImageShareLoss(CountedLoss):
    """A loss with the share of the training images that has each class.

    Args:
        num_classes: see :class:`.LongTailLoss`.
        num_images: see :class:`~bacl.models.class_counts.ImageShares`.
        **kwargs: of :class:`CountedLoss`.
    """

    starts_empty = ('class_counts.counts', 'class_counts.num_images')

    def __init__(self, num_classes: int | None = None, num_images: int | None = None,
                 **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self._count_source['num_images'] = num_images

    def init_state(self) -> None:
        """Make room for the counts and the number of images."""
        self.class_counts = ImageShares(self.num_classes, **self._count_source)
