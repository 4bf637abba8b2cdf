"""Counts of the classes of the training data, for the parts of a model that need them."""
from collections.abc import Sequence
from os import PathLike

import torch
from bacl.annotations import ClassTable, read_class_table
from torch import Tensor, nn


class ClassCountsMixin:
    """Gives a module with ``num_classes`` the counts of its classes.

    The counts come from, in this order:

    1. ``counts`` of the config; they stay also where dataset or checkpoint contradict them;
    2. ``ann_file`` of the config, read when the dataset's counts are offered, or on first use if
       nothing else gave counts;
    3. the training dataset, through :class:`~bacl.engine.hooks.MethodHook`;
    4. the checkpoint: a trained model needs neither file nor dataset.

    Args:
        num_classes: C, > 0.
        counts: C whole numbers >= 0, in label order.
        ann_file: path or URL of an annotation file in COCO or LVIS format with C categories in
            label order. LVIS files bring their counts; otherwise annotations are counted.

    Attributes:
        count_name: attribute of :class:`~bacl.annotations.ClassTable` that has the counts.
        always_saved: whether a checkpoint has the counts also if the config says where they are
            from. Without, a checkpoint of a training without the module can be tested.
        is_configured: whether the config has the counts themselves.
        has_counts: False until one of the four gave them.

    Raises:
        ValueError: if ``counts`` and ``ann_file`` are both given, or the counts are not C whole
            numbers >= 0.
    """

    count_name: str
    always_saved = True

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
        self.register_buffer(
            'counts', torch.full((num_classes,), torch.nan, dtype=torch.float64),
            persistent=self.always_saved or (counts is None and ann_file is None))
        if self.is_configured:
            self.set_counts(counts)

    def set_class_counts(self, table: ClassTable) -> None:
        """Take the counts of the training dataset, unless the config says others."""
        if self.ann_file is not None:
            self.read_counts()
        elif not self.is_configured:
            self.take(table)

    def take(self, table: ClassTable) -> None:
        """Replace the counts by those of a table."""
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
        self.counts_changed()

    def counts_changed(self) -> None:
        """Called with new counts: the place to derive from them what the host has to know."""

    def read_counts(self) -> None:
        """Take the counts from ``ann_file``.

        Raises:
            FileNotFoundError: if it does not exist.
            ValueError: if it is no annotation file, or has another number of categories.
        """
        self.take(read_class_table(self.ann_file))

    def known_counts(self) -> Tensor:
        """The counts, (C,), float64.

        Raises:
            RuntimeError: if there are none.
        """
        if not self.has_counts and self.ann_file is not None:
            self.read_counts()
        if not self.has_counts:
            raise RuntimeError(
                f'{type(self).__name__} has no counts. Set counts=[...] or ann_file=... in its '
                "config, or add dict(type='MethodHook') to custom_hooks, which takes "
                'them from the training dataset.')
        return self.counts

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        # Checkpoints of stage 1 have no counts, others may have those of another dataset.
        if self.is_configured and self.always_saved:
            state_dict = {**state_dict, f'{prefix}counts': self.counts}
        super()._load_from_state_dict(state_dict, prefix, *args)
        self.has_counts = self.counts.isfinite().all().item()
        if self.has_counts:
            self.counts_changed()


class _NumClasses(nn.Module):
    """A module that knows C."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes


class ClassCounts(ClassCountsMixin, _NumClasses):
    """Counts as a part of a module that is not itself made of counts: a loss, an augmenter.

    Args:
        num_classes: C, > 0.
        count_name: attribute of :class:`~bacl.annotations.ClassTable` that has the counts:
            'image_count' or 'instance_count'.
        counts: see :class:`ClassCountsMixin`.
        ann_file: see there.
    """

    def __init__(self, num_classes: int, count_name: str, counts: Sequence[int] | None = None,
                 ann_file: str | PathLike | None = None) -> None:
        self.count_name = count_name
        super().__init__(num_classes, counts, ann_file)


class ImageShares(ClassCounts):
    """Image counts with the number of images, of which they are shares.

    That number is of the images with annotations, as in the papers that use shares.

    Args:
        num_classes: C, > 0.
        counts: see :class:`ClassCountsMixin`.
        ann_file: see there; the one of the training data, since the LVIS file of others has the
            counts of the training data, but other images.
        num_images: > 0; given with ``counts``, and only then.

    Raises:
        ValueError: if only one of ``counts`` and ``num_images`` is given, or a class is in more
            images than there are.
    """

    def __init__(self, num_classes: int, counts: Sequence[int] | None = None,
                 ann_file: str | PathLike | None = None, num_images: int | None = None) -> None:
        if (counts is None) != (num_images is None):
            raise ValueError(f'{type(self).__name__}(counts=, num_images=) expects both or none of '
                             'them, got one. Add the other.')
        super().__init__(num_classes, 'image_count', counts, ann_file)
        self.register_buffer('num_images', torch.tensor(
            torch.nan if num_images is None else num_images, dtype=torch.float64))
        if self.is_configured:
            self._check_shares()

    def take(self, table: ClassTable) -> None:
        """Replace counts and number of images by those of a table.

        Raises:
            ValueError: if a class is in more images than there are.
        """
        super().take(table)
        self.num_images.fill_(table.num_images if table.num_annotated_images is None
                              else table.num_annotated_images)
        self._check_shares()

    def _check_shares(self) -> None:
        if (self.counts > self.num_images).any():
            raise ValueError(
                f'{type(self).__name__}(num_images=) expects at least as many images as a class '
                f'is in, {self.counts.max().item():.0f}, got {self.num_images.item():.0f}. Take '
                'both from the annotation file of the training data.')

    def known_shares(self) -> Tensor:
        """Share of the images that has each class, (C,), float64; see :meth:`known_counts`."""
        return self.known_counts() / self.num_images

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        if self.is_configured:
            state_dict = {**state_dict, f'{prefix}num_images': self.num_images}
        super()._load_from_state_dict(state_dict, prefix, *args)
