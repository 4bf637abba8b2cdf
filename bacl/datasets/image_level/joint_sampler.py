"""Draws from detection data and from data without boxes in a fixed ratio."""
import math
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from mmdet.registry import DATA_SAMPLERS
from mmdet.utils import ConfigType
from mmengine.dist import sync_random_seed
from torch.utils.data import Sampler

from .joint_dataset import JointDataset


@DATA_SAMPLERS.register_module()
class JointSampler(Sampler):
    """Draws rounds: so many images of the first dataset, then so many of the second, and so on.

    With the batch size B of the loader, ``samples_per_round=(B, B)`` alternates batches of either
    dataset, and ``(B // 2, B // 2)`` mixes both in every batch. An epoch has as many rounds as it
    takes to see the detection data once; in it the others are seen as often as that makes it, and
    the next epoch goes on where they were left. All is a function of seed and epoch, so a training
    that is resumed draws what an uninterrupted one would. Every rank draws as many of each dataset.

    mmdet's ``MultiDataSampler`` draws with replacement and in random order, and its
    ``MultiSourceSampler`` has no epochs and begins anew when a training is resumed.

    Args:
        dataset: what is drawn from.
        samples_per_round: of each dataset, on each rank, >= 0; of the first > 0.
        samplers: of each dataset, the config of a sampler with ``set_epoch``, such as
            ``dict(type='RepeatFactorSampler', oversample_thr=1e-3)``; None shuffles all of them.
        seed: the same on all ranks; None draws one.

    Raises:
        TypeError: if the dataset is no :class:`.JointDataset`.
        ValueError: if numbers do not fit the datasets.
    """

    def __init__(self, dataset: JointDataset, samples_per_round: Sequence[int],
                 samplers: Sequence[ConfigType] | None = None, seed: int | None = None) -> None:
        if not isinstance(dataset, JointDataset):
            raise TypeError('JointSampler(dataset=) expects a JointDataset, got '
                            f'{type(dataset).__name__}. Wrap the detection data and the others: '
                            "dict(type='JointDataset', datasets=[...]).")
        parts = dataset.datasets
        if len(samples_per_round) != len(parts) or samples_per_round[0] < 1 or \
                not all(isinstance(number, int) and number >= 0 for number in samples_per_round):
            raise ValueError(f'JointSampler(samples_per_round=) expects {len(parts)} whole numbers '
                             '>= 0, one for each dataset and the first of them > 0, got '
                             f'{tuple(samples_per_round)}.')
        if samplers is None:
            samplers = [dict(type='DefaultSampler', shuffle=True)] * len(parts)
        if len(samplers) != len(parts):
            raise ValueError(f'JointSampler(samplers=) expects {len(parts)} configs, one for each '
                             f'dataset, got {len(samplers)}.')
        seed = sync_random_seed() if seed is None else seed
        self.samples_per_round = tuple(samples_per_round)
        self.samplers = [
            DATA_SAMPLERS.build(dict(cfg), default_args=dict(
                dataset=part, seed=_seed_of(position, seed)))
            for position, (cfg, part) in enumerate(zip(samplers, parts, strict=True))]
        if not all(getattr(sampler, 'round_up', True) for sampler in self.samplers):
            raise ValueError('JointSampler(samplers=) expects samplers that draw as many images on '
                             'every rank, got one with round_up=False. Leave it out.')
        self.starts = [0, *dataset.cumulative_sizes[:-1]]
        self.num_rounds = math.ceil(len(self.samplers[0]) / self.samples_per_round[0])
        self.epoch = 0

    @property
    def seed(self) -> int:
        """The seed that those of all samplers are made from."""
        return self.samplers[0].seed

    @seed.setter
    def seed(self, seed: int) -> None:
        for position, sampler in enumerate(self.samplers):
            sampler.seed = _seed_of(position, seed)

    def __iter__(self) -> Iterator[int]:
        """Indices of this rank's images in this epoch."""
        streams = [self._stream(position) for position in range(len(self.samplers))]
        for _ in range(self.num_rounds):
            for stream, number in zip(streams, self.samples_per_round, strict=True):
                yield from islice(stream, number)

    def _stream(self, position: int) -> Iterator[int]:
        """What a sampler draws, epoch after epoch of its own, from where this epoch begins."""
        sampler, start = self.samplers[position], self.starts[position]
        # Detection data begin anew with every epoch, also if its last round takes some of the next.
        drawn = self.num_rounds * self.samples_per_round[position] if position else len(sampler)
        done = self.epoch * drawn
        while True:
            epoch, skipped = divmod(done, len(sampler))
            sampler.set_epoch(epoch)
            for index in islice(sampler, skipped, None):
                yield start + index
            done = (epoch + 1) * len(sampler)

    def __len__(self) -> int:
        """Number of samples of this rank in an epoch."""
        return self.num_rounds * sum(self.samples_per_round)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which the order depends on."""
        self.epoch = epoch


def _seed_of(position: int, seed: int) -> int:
    """The seed of a dataset's sampler. With one seed datasets of a size would have one order.

    Not a sum: samplers add the epoch to their seed.
    """
    return int(np.random.SeedSequence((seed, position)).generate_state(1)[0]) if position else seed
