"""The views of a training image: what its pipeline draws, drawn several times."""
import random
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from bacl.engine.hooks.seed_hook import derive_seed
from torch.utils.data import Dataset

from .storage import FeatureBankError

_IMAGES_TO_COMPARE = 8


def random_flips(dataset: Dataset | None) -> list[Any]:
    """The transforms of a dataset, and of what is in it, that flip some of the images."""
    found = []
    while dataset is not None:
        pipeline = getattr(dataset, 'pipeline', ())
        found += [transform for transform in getattr(pipeline, 'transforms', pipeline)
                  if 'RandomFlip' in type(transform).__name__
                  and 0 < np.sum(transform.prob) < 1]
        dataset = getattr(dataset, 'dataset', None)
    return found


class ViewDataset(Dataset):
    """The images of a dataset in one view, with random numbers of their own.

    Args:
        dataset: of the config, outside of what repeats images.
        flips: its :func:`random_flips`, which are off in even views and on in odd ones; the other
            views of the dataset get the same list.
        seed: of the build.
        view: number of the view.
    """

    def __init__(self, dataset: Dataset, flips: Sequence[Any], seed: int, view: int) -> None:
        self.dataset, self.flips, self.seed, self.view = dataset, flips, seed, view

    def __len__(self) -> int:
        """Number of images."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any] | None:
        """The sample of an image, or None if the pipeline leaves it out."""
        for transform in self.flips:
            transform.prob = float(self.view % 2)
        seed_all(self.seed, 0, self.view, index)
        prepare = getattr(self.dataset, 'prepare_data', self.dataset.__getitem__)
        return prepare(index)


def seed_all(*key: int) -> None:
    """Seed Python's, NumPy's and torch's generators by a key."""
    seed = derive_seed(*key)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def check_views(views: Sequence[ViewDataset]) -> None:
    """Refuse views that show the same: they would take room, and teach nothing.

    The first images are looked at.

    Raises:
        FeatureBankError: naming two views and the cure.
    """
    if len(views) < 2:
        return
    shown = []
    for view in views:
        samples = [view[index] for index in range(min(len(view), _IMAGES_TO_COMPARE))]
        shown.append([sample['inputs'] for sample in samples if sample is not None])
    for first, second in combinations(range(len(views)), 2):
        if shown[first] and len(shown[first]) == len(shown[second]) and all(
                map(torch.equal, shown[first], shown[second])):
            drawn = 'nothing but a flip' if second > 1 else 'nothing'
            raise FeatureBankError(
                f'--views {len(views)} expects a training pipeline that shows an image in as many '
                f'ways, got the same in views {first} and {second}: {drawn} is drawn at random. '
                f'Store --views {second}.')
