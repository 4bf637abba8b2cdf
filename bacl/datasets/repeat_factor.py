"""Repeat factor sampling (RFS) with stochastic rounding, and its instance-aware form (IRFS)."""
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmdet.registry import DATA_SAMPLERS
from mmengine.dist import get_dist_info, sync_random_seed
from torch import Tensor
from torch.utils.data import Sampler


def repeat_factors(classes: Sequence[Sequence[int]], oversample_thr: float,
                   instance_aware: bool = False) -> Tensor:
    """How often each image is to be seen in an epoch.

    With f_c the share of the images that have class c, and b_c that of the instances that are of
    class c, the frequency of c is f_c, or sqrt(f_c b_c) if ``instance_aware``, and the factor of an
    image is the largest of its classes::

        r_c = max(1, sqrt(oversample_thr / frequency_c))

    Args:
        classes: of each image, the label of each of its instances.
        oversample_thr: frequency below which a class is repeated, >= 0.
        instance_aware: see above.

    Returns:
        (number of images,), float64, >= 1; 1 for images without instances.

    Reference:
        Gupta et al., "LVIS: A Dataset for Large Vocabulary Instance Segmentation", CVPR 2019;
        Yaman et al., "Instance-Aware Repeat Factor Sampling for Long-Tailed Object Detection",
        2023.
    """
    image = np.repeat(np.arange(len(classes)), [len(labels) for labels in classes])
    label = np.array([label for labels in classes for label in labels], dtype=np.int64)
    in_image = np.unique(np.stack([image, label]), axis=1)
    frequency = np.bincount(in_image[1]) / max(len(classes), 1)
    if instance_aware:
        frequency = np.sqrt(frequency * np.bincount(label) / max(len(label), 1))
    factors = np.ones(len(classes))
    np.maximum.at(factors, in_image[0], np.sqrt(oversample_thr / frequency[in_image[1]]))
    return torch.from_numpy(factors)


def round_at_random(factors: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Whole numbers with given means and, so that epochs are equally long, the same sum each time.

    A number is its factor rounded down or up, up with the probability of the fraction. Where the
    sum of the factors is no whole number and comes out rounded down, a random image has one more.

    Args:
        factors: (N,), float64, >= 0.
        generator: of a CPU; None is that of torch.

    Returns:
        (N,), int64, whose sum is that of the factors rounded up.
    """
    # Systematic sampling: the whole numbers between the sums before and after an image, in an order
    # and from a start that are drawn.
    order = torch.randperm(len(factors), generator=generator)
    start = torch.rand((), generator=generator, dtype=factors.dtype)
    ends = (factors[order].cumsum(0) + start).floor().long()
    counts = torch.empty_like(ends)
    counts[order] = ends.diff(prepend=ends.new_zeros(1))
    num_missing = epoch_length(factors) - int(counts.sum())
    extra = torch.randint(max(len(factors), 1), (max(num_missing, 0),), generator=generator)
    return counts.index_add_(0, extra, torch.ones_like(extra))


def epoch_length(factors: Tensor) -> int:
    """Sum of the factors, rounded up; a rounding error is none."""
    return math.ceil(math.fsum(factors.tolist()) - 1e-6)


# No subclass of mmengine's DefaultSampler, of which SeedHook knows that it repeats nothing.
@DATA_SAMPLERS.register_module()
class RepeatFactorSampler(Sampler):
    """Draws images with rare classes more often: RFS or IRFS, see :func:`repeat_factors`.

    Factors are rounded anew in each epoch, by :func:`round_at_random`. So an epoch is as long as
    the factors say, and images with the factors 1.1 and 1.9 are told apart. mmengine's
    ``ClassBalancedDataset``, which needs no other sampler, rounds all factors up, once and for all.

    Classes are counted in the samples of the dataset, without what it filters out. All ranks draw
    the same epoch, each takes its part of it; the last ones may get images from its beginning, so
    that all have equally many.

    Args:
        dataset: has ``get_cat_ids(index)``, the label of each instance of an image.
        oversample_thr: frequency below which a class is repeated, >= 0 (0.001 for LVIS).
        instance_aware: whether the frequency is that of IRFS.
        keeps_length: whether an epoch draws as many images as the dataset has: factors are scaled
            to that sum, which makes those of images without rare classes less than 1.
        seed: the same on all ranks; None draws one.

    Raises:
        ValueError: if the threshold is negative.
    """

    def __init__(self, dataset: Any, oversample_thr: float, instance_aware: bool = False,
                 keeps_length: bool = False, seed: int | None = None) -> None:
        if oversample_thr < 0:
            raise ValueError('RepeatFactorSampler(oversample_thr=) expects a number >= 0, got '
                             f'{oversample_thr!r}.')
        self.dataset = dataset
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self.factors = repeat_factors([dataset.get_cat_ids(index) for index in range(len(dataset))],
                                      oversample_thr, instance_aware)
        if keeps_length:
            self.factors *= len(dataset) / self.factors.sum()
        self.num_samples = math.ceil(epoch_length(self.factors) / self.world_size)

    def __iter__(self) -> Iterator[int]:
        """Indices of this rank's images in this epoch."""
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        indices = torch.repeat_interleave(round_at_random(self.factors, generator))
        indices = indices[torch.randperm(len(indices), generator=generator)]
        position = torch.arange(self.num_samples) * self.world_size + self.rank
        return iter(indices[position % max(len(indices), 1)].tolist())

    def __len__(self) -> int:
        """Number of samples of this rank in an epoch."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which the order depends on."""
        self.epoch = epoch
