"""Memory of the latest features of every class: a ring buffer each."""
import torch
from bacl.ops import foreground_rows, gather_rows
from torch import Tensor, nn

from .base import ExtraSamples, Samples


def ranks_in_class(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Samples in the order of their classes, and the place of each among those of its class.

    Args:
        labels: (N,), int64.

    Returns:
        Positions (N,) that sort the labels, those of a class in their order; and, in this order,
        the number (N,) of earlier samples with the same label.
    """
    in_order, order = labels.sort(stable=True)
    position = torch.arange(len(labels), device=labels.device)
    is_first = torch.ones_like(in_order, dtype=torch.bool)
    is_first[1:] = in_order[1:] != in_order[:-1]
    first = torch.where(is_first, position, 0).cummax(0).values
    return order, position - first


class FeatureMemory(nn.Module):
    """The latest inputs of the classifier of every class, with their box targets.

    Buffers, in the checkpoint: ``feats`` (C + 1, K, D), in half precision, what it cannot represent
    clamped; ``box_targets`` (C + 1, K, 4); ``num_stored`` (C,), all that was ever stored. Slot
    ``n % K`` of a class has its n-th sample. The last row takes what is not to be stored, so that
    the number of rows that are written depends on no value, and is zero afterwards. They take
    2 C K D bytes: 188 MiB for LVIS v1, 80 slots and 1,024 features.

    Args:
        num_classes: C, > 0.
        num_feats: D, > 0.
        capacity: K, samples of a class that are kept, > 0.
        keep: which samples of a class to keep of a step that brings more than K, 'last' or 'first'.
        sync: store the samples of all ranks, so that all have the same memory. False stores those
            of this rank alone, as official codes do; a checkpoint then has those of the main rank.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(self, num_classes: int, num_feats: int, capacity: int, keep: str = 'last',
                 sync: bool = True) -> None:
        super().__init__()
        if not isinstance(capacity, int) or capacity < 1:
            raise ValueError(f'FeatureMemory(capacity=) expects a positive int, got {capacity!r}.')
        if keep not in ('last', 'first'):
            raise ValueError(f"FeatureMemory(keep=) expects 'last' or 'first', got {keep!r}.")
        self.num_classes = num_classes
        self.capacity = capacity
        self.keep = keep
        self.sync = sync
        self.register_buffer('feats', torch.zeros(num_classes + 1, capacity, num_feats,
                                                  dtype=torch.float16))
        self.register_buffer('box_targets', torch.zeros(num_classes + 1, capacity, 4))
        self.register_buffer('num_stored', torch.zeros(num_classes, dtype=torch.long))

    def size(self) -> Tensor:
        """(C,), int64, number of samples of each class in the memory."""
        return self.num_stored.clamp(max=self.capacity)

    @torch.no_grad()
    def push(self, samples: Samples) -> None:
        """Store samples, in their order. With ``sync``, every rank calls it in every step.

        Args:
            samples: N, with box targets; those with the label C are left out.
        """
        rows = foreground_rows(samples.labels, self.num_classes)
        samples = Samples(*(values.index_select(0, rows) for values in samples))
        feats, labels, box_targets = self._gather(samples) if self.sync else samples
        order, rank = ranks_in_class(labels)
        labels = labels[order]
        is_stored = labels < self.num_classes
        count = torch.zeros(self.num_classes + 1, dtype=torch.long, device=labels.device)
        count.index_add_(0, labels, is_stored.long())
        is_stored &= rank < self.capacity if self.keep == 'first' \
            else rank >= count[labels] - self.capacity
        row = labels.masked_fill(~is_stored, self.num_classes)
        first = self.num_stored[labels.clamp(max=self.num_classes - 1)]
        slot = (first + rank) % self.capacity
        limit = torch.finfo(self.feats.dtype).max
        self.feats[row, slot] = feats[order].clamp(-limit, limit).to(self.feats.dtype)
        self.box_targets[row, slot] = box_targets[order].to(self.box_targets.dtype)
        self.feats[-1].zero_()
        self.box_targets[-1].zero_()
        self.num_stored += count[:-1].clamp(max=self.capacity) if self.keep == 'first' \
            else count[:-1]

    def _gather(self, samples: Samples) -> Samples:
        """The samples of all ranks, rank after rank; of one rank, in the order of classes."""
        labels, order = samples.labels.sort(stable=True)  # what is left out comes last
        dtype = torch.promote_types(samples.feats.dtype, torch.float32)
        content = torch.cat([samples.feats[order].to(dtype), samples.box_targets[order].to(dtype),
                             (labels < self.num_classes).to(dtype)[:, None]], dim=1)
        classes, content = map(torch.cat, zip(*gather_rows(labels, content), strict=True))
        return Samples(content[:, :-5], classes.masked_fill(content[:, -1] == 0, self.num_classes),
                       content[:, -5:-1])

    def take(self, classes: Tensor, slots: Tensor, is_there: Tensor) -> ExtraSamples:
        """Stored samples.

        Args:
            classes: (M,), int64 in [0, C).
            slots: (M, m), int64 in [0, K).
            is_there: (M, m), bool; the others are void.

        Returns:
            M * m samples, the m of a class one after the other. On a CPU without the void ones.
        """
        labels = classes[:, None].masked_fill(~is_there, self.num_classes).flatten()
        rows = foreground_rows(labels, self.num_classes)
        row, slot = classes[:, None].expand_as(slots).flatten()[rows], slots.flatten()[rows]
        feats = self.feats[row, slot]
        return ExtraSamples(feats.to(torch.promote_types(feats.dtype, torch.float32)),
                            labels[rows], self.box_targets[row, slot])

    def scalars(self) -> dict[str, float]:
        """``memory/known_classes``: number of classes in the memory."""
        return {'memory/known_classes': (self.num_stored > 0).sum().item()}
