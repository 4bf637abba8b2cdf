"""Draws classes alike, and of each an image."""
import math
from collections.abc import Iterator

import torch
from mmdet.registry import DATA_SAMPLERS
from mmengine.dist import get_dist_info, sync_random_seed
from torch import Tensor
from torch.utils.data import Sampler

from .class_image_pairs import ClassImagePairs


def draw_pairs(class_uniform: Tensor, image_uniform: Tensor, num_images: Tensor) -> Tensor:
    """Pairs of a class and an image: first the class, then one of its images, both uniformly.

    Args:
        class_uniform: (M,), in [0, 1), which class of those that have images.
        image_uniform: (M,), in [0, 1), which of its images.
        num_images: (C,), int64, images of each class.

    Returns:
        (M,), int64: numbers of pairs, if these are sorted by class.
    """
    eligible = num_images.nonzero().flatten()
    classes = eligible[(class_uniform * len(eligible)).long()]
    first = num_images.cumsum(0) - num_images
    return first[classes] + (image_uniform * num_images[classes]).long()


@DATA_SAMPLERS.register_module()
class EpisodicSampler(Sampler):
    """Draws episodes: some classes, with replacement, and an image of each.

    Every class that has images is drawn with the same probability, and of it every image. An
    episode is a batch of all ranks together: so that the images of one are not spread over two
    steps, the batch size times the number of ranks is to be ``classes_per_episode``. Draws do not
    depend on each other, hence any other batch size is a smaller or larger episode.

    Args:
        dataset: what is drawn from.
        num_episodes: length of an epoch, > 0.
        classes_per_episode: > 0; 16 in the paper.
        seed: the same on all ranks; None draws one.

    Raises:
        TypeError: if the dataset is no :class:`.ClassImagePairs`.
        ValueError: if a number is not positive.

    Reference:
        Wang et al., "The Devil is in Classification: A Simple Framework for Long-tail Instance
        Segmentation", ECCV 2020 (SimCal).
    """

    def __init__(self, dataset: ClassImagePairs, num_episodes: int = 1000,
                 classes_per_episode: int = 16, seed: int | None = None) -> None:
        if not isinstance(dataset, ClassImagePairs):
            raise TypeError(
                'EpisodicSampler(dataset=) expects pairs of classes and images, got '
                f'{type(dataset).__name__}. Wrap it: dict(type="ClassImagePairs", dataset=...).')
        for name, value in (('num_episodes', num_episodes),
                            ('classes_per_episode', classes_per_episode)):
            if value < 1:
                raise ValueError(f'EpisodicSampler({name}=) expects a positive int, got {value!r}.')
        self.rank, self.world_size = get_dist_info()
        self.num_images = torch.as_tensor(dataset.num_images)
        self.num_samples = math.ceil(num_episodes * classes_per_episode / self.world_size)
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        # In double precision, a uniform number times a count is below the count.
        uniform = torch.rand(2, self.num_samples * self.world_size, dtype=torch.float64,
                             generator=generator)
        pairs = draw_pairs(*uniform, self.num_images)
        return iter(pairs[self.rank::self.world_size].tolist())

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Draw other pairs than in the epochs before.

        Args:
            epoch: its number, from 0.
        """
        self.epoch = epoch
