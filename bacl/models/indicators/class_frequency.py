"""Class counts of the training dataset as long-term indicators (Table II, static)."""
from collections.abc import Sequence
from os import PathLike

import torch
from bacl.annotations import ClassTable, read_class_table
from mmdet.registry import MODELS
from torch import Tensor

from .per_class import PerClassCount


class ClassFrequency(PerClassCount):
    """Base of the static indicators: counts that are known before training and stay.

    The counts come from, in this order:

    1. ``counts`` of the config; they stay also where dataset or checkpoint contradict them;
    2. ``ann_file`` of the config, read when the dataset's counts are offered, or on first use if
       nothing else gave counts;
    3. the training dataset, through :class:`~bacl.engine.hooks.MethodHook`;
    4. the checkpoint: a trained model needs neither file nor dataset.

    Nothing is observed, so :meth:`observe` is no collective operation here, and :meth:`reset` keeps
    the counts.

    Log-ratio (Eq. 7) of counts clamped at 1 from below; strength (Eq. 12) is the count divided by
    the largest one. A class that the dataset lacks has count 0 and strength 0.

    Args:
        num_classes: C, > 0.
        counts: C whole numbers >= 0, in label order.
        ann_file: path or URL of an annotation file in COCO or LVIS format with C categories in
            label order. LVIS files bring their counts; otherwise annotations are counted.

    Attributes:
        is_configured: whether the config has the counts themselves.
        has_counts: False until one of the four gave them.

    Raises:
        ValueError: if ``counts`` and ``ann_file`` are both given, or the counts are not C whole
            numbers >= 0.
        RuntimeError: on use without counts.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Table II, Eq. (7) and (12).
    """

    count_name: str  # attribute of ClassTable

    def __init__(self, num_classes: int, counts: Sequence[int] | None = None,
                 ann_file: str | PathLike | None = None) -> None:
        super().__init__(num_classes)
        if counts is not None and ann_file is not None:
            raise ValueError(f'{type(self).__name__}(counts=, ann_file=) expects one of them, got '
                             'both. Leave one out.')
        self.ann_file = ann_file
        self.is_configured = counts is not None
        # In Python, not a buffer: asking a device in every step would be a host synchronisation.
        self.has_counts = False
        self.register_buffer('counts', torch.full((num_classes,), torch.nan, dtype=torch.float64))
        if self.is_configured:
            self.set_counts(counts)

    def set_class_counts(self, table: ClassTable) -> None:
        """Take the counts of the training dataset, unless the config says others."""
        if self.ann_file is not None:
            self.read_counts()
        elif not self.is_configured:
            self.set_counts(getattr(table, self.count_name))

    def set_counts(self, counts: Sequence[int]) -> None:
        """Replace the counts.

        Args:
            counts: C whole numbers >= 0, in label order.

        Raises:
            ValueError: if they are something else.
        """
        counts = torch.as_tensor(counts, dtype=self.counts.dtype)
        is_valid = counts.isfinite() & (counts >= 0) & (counts == counts.round())
        if counts.shape != self.counts.shape or not is_valid.all():
            got = (f'{counts[~is_valid][0].item()} among them' if not is_valid.all()
                   else f'shape {tuple(counts.shape)}')
            raise ValueError(f'{type(self).__name__}(counts=) expects {self.num_classes} whole '
                             f'numbers >= 0, one per class in label order, got {got}.')
        self.counts.copy_(counts)
        self.has_counts = True

    def read_counts(self) -> None:
        """Take the counts from ``ann_file``.

        Raises:
            FileNotFoundError: if it does not exist.
            ValueError: if it is no annotation file, or has another number of categories.
        """
        self.set_counts(getattr(read_class_table(self.ann_file), self.count_name))

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        # Checkpoints of stage 1 have no counts, others may have those of another dataset.
        if self.is_configured:
            state_dict = {**state_dict, f'{prefix}counts': self.counts}
        super()._load_from_state_dict(state_dict, prefix, *args)
        self.has_counts = self.counts.isfinite().all().item()

    def observe(self, logits: Tensor, labels: Tensor) -> None:
        """Does nothing: the counts are those of the dataset."""

    def value(self) -> Tensor:
        """(C,), the counts."""
        if not self.has_counts and self.ann_file is not None:
            self.read_counts()
        if not self.has_counts:
            raise RuntimeError(
                f'{type(self).__name__} has no counts. Set counts=[...] or ann_file=... in its '
                "config, or add dict(type='MethodHook') to custom_hooks, which takes "
                'them from the training dataset.')
        return self.counts.clone()

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
