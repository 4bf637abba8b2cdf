"""Grouping samples by class without asking a GPU for anything, and sums over the groups.

A step holds samples of a few classes of thousands, most of them background. What training collects
per class is therefore summed for the classes that are present, not in arrays with a row for every
class. How many there are is known on a CPU; a GPU would have to finish its work first to tell, so
there every array has the size of the largest number possible, and the rest of it is void.

Shapes: N samples, K groups, C foreground classes; label C is background.
"""
from collections.abc import Callable

import torch
from torch import Tensor


def is_on_cpu(tensor: Tensor) -> bool:
    """True where the host may look at values: on a GPU it would wait for all work before."""
    return tensor.device.type == 'cpu'


def foreground_rows(labels: Tensor, num_classes: int) -> Tensor:
    """The samples that are worth computing something for that background does not need.

    Args:
        labels: (N,), int64 in [0, C].
        num_classes: C.

    Returns:
        Rising positions: of the foreground samples on a CPU; of all samples on a GPU, where
        computing them costs less than counting.
    """
    if is_on_cpu(labels):
        return (labels < num_classes).nonzero().squeeze(1)
    return torch.arange(labels.numel(), device=labels.device)


def group_by_class(labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Number the classes that are present.

    Args:
        labels: (N,), int64 in [0, C].
        num_classes: C.

    Returns:
        The class of each group, (K,), rising, and the group of each sample, (N,). On a GPU there
        are N groups, the last of which may be void: no sample has them, and their class is C.
    """
    if is_on_cpu(labels):
        return labels.unique(return_inverse=True)
    in_order, order = labels.sort()
    is_first = torch.ones_like(in_order)
    is_first[1:] = in_order[1:] != in_order[:-1]
    group_in_order = is_first.cumsum(0) - 1
    classes = torch.full_like(labels, num_classes).scatter(0, group_in_order, in_order)
    return classes, torch.empty_like(labels).scatter(0, order, group_in_order)


def once_per_class(compute: Callable[[Tensor], Tensor], labels: Tensor,
                   num_classes: int) -> Tensor:
    """Rows of samples that depend on the class alone, each computed once.

    Args:
        compute: classes (K,), int64 in [0, C), to rows (K, D).
        labels: (N,), int64 in [0, C].
        num_classes: C.

    Returns:
        (N, D), the row of each sample's class; 0 for background.
    """
    classes, group = group_by_class(labels, num_classes)
    rows = compute(classes.clamp(max=num_classes - 1))
    return rows.masked_fill_((classes == num_classes)[:, None], 0).index_select(0, group)


def sum_groups(values: Tensor, group: Tensor, num_groups: int) -> Tensor:
    """Sum of the values of each group.

    Args:
        values: (N, D).
        group: (N,), int64 in [0, K).
        num_groups: K.

    Returns:
        (K, D).
    """
    return values.new_zeros(num_groups, values.size(1)).index_add_(0, group, values)


def sum_by_class(values: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Sum of the values and number of samples of every class that is present.

    Args:
        values: (N, D), floating point.
        labels: (N,), int64 in [0, C]; samples of background are left out.
        num_classes: C.

    Returns:
        Classes (K,), int64 in [0, C), each once, and rows (K, D + 1): the sums and, last, the
        number of samples. A group without foreground samples, such as the void ones of a GPU, has
        zeros and the class C - 1, so that adding its row somewhere changes nothing.
    """
    classes, group = group_by_class(labels, num_classes)
    rows = torch.cat([sum_groups(values, group, len(classes)),
                      sum_groups(values.new_ones(len(labels), 1), group, len(classes))], dim=1)
    rows.masked_fill_((classes == num_classes)[:, None], 0)
    return classes.clamp(max=num_classes - 1), rows
