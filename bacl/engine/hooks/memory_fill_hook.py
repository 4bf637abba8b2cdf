"""Fills the feature memories of augmenters before training."""
from collections import defaultdict
from collections.abc import Iterable, Sequence

from bacl.datasets.image_labels import image_labels
from mmdet.registry import HOOKS
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from ..running.runner_state import unwrapped_model
from .seed_hook import CountingSampler


def class_balanced_order(classes: Iterable[Sequence[int]], num_images: int, rank: int = 0,
                         num_ranks: int = 1) -> list[int]:
    """Images in which every class occurs, the same number for each.

    Args:
        classes: of each image, the labels of its objects.
        num_images: of each class, for this rank.
        rank: of ``num_ranks``; it takes the images of a class that it comes to in steps of
            ``num_ranks``.
        num_ranks: > 0.

    Returns:
        Positions of images, class by class in the order in which the classes first occur. Where a
        class has fewer images, they come again. As many on every rank.
    """
    images_of_class = defaultdict(list)
    for image, labels in enumerate(classes):
        for label in dict.fromkeys(labels):
            images_of_class[label].append(image)
    return [images[(rank + num_ranks * turn) % len(images)]
            for images in images_of_class.values() for turn in range(num_images)]


@HOOKS.register_module()
class MemoryFillHook(Hook):
    """Shows images of every class to the model before training: the initialisation of LOCE.

    Every augmenter and every loss then learns from them as in training steps, but no weight
    changes: a :class:`~bacl.models.augmenters.MemorySampler` has features of every class, and an
    :class:`~bacl.models.losses.EquilibriumLoss` scores, from the first step on. A resumed run has
    them from its checkpoint.

    The images come class by class, as the official code has them, through the pipeline of the
    training. Of each class all ranks together take ``num_images``; the official code takes as many
    on each rank, whose memories are its own.

    Args:
        num_images: of each class, > 0. Five images of one object each fill a memory of 80 features
            with 16 boxes around each object.

    Raises:
        ValueError: if ``num_images`` is out of its range.
    """

    priority = 'LOW'  # after the hooks that give the modules what they need

    def __init__(self, num_images: int = 5) -> None:
        if not isinstance(num_images, int) or num_images < 1:
            raise ValueError(f'MemoryFillHook(num_images=) expects a positive int, '
                             f'got {num_images!r}.')
        self.num_images = num_images

    def before_train(self, runner: Runner) -> None:
        """Run forward passes of training, unless the run is resumed."""
        if runner.iter > 0:
            return
        loader, (rank, num_ranks) = runner.train_dataloader, get_dist_info()
        order = class_balanced_order(image_labels(loader.dataset),
                                     -(-self.num_images // num_ranks), rank, num_ranks)
        print_log(f'MemoryFillHook: {len(order)} images on each of {num_ranks} ranks.',
                  logger='current')
        model = unwrapped_model(runner)
        model.train()
        # In training, augmenters and losses learn only where gradients are recorded.
        # An image that comes again is augmented anew.
        sampler = CountingSampler(order, rank)
        for batch in DataLoader(loader.dataset, loader.batch_sampler.batch_size, sampler=sampler,
                                num_workers=loader.num_workers, collate_fn=loader.collate_fn,
                                worker_init_fn=loader.worker_init_fn):
            with runner.optim_wrapper.optim_context(model):
                model(**model.data_preprocessor(batch, True), mode='loss')
