"""Random numbers that depend on where training is, not on how it got there."""
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmdet.registry import HOOKS
from mmengine.dataset import DefaultSampler
from mmengine.dist import broadcast, get_rank
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import Tensor
from torch.utils.data import Dataset, Sampler

STEP, SAMPLE, META, HELD_OUT = range(4)  # what a stream of random numbers is for


def derive_seed(*key: int) -> int:
    """A seed in [0, 2**32) for a key; keys that differ give streams that have nothing in common.

    Args:
        *key: integers >= 0.
    """
    return int(np.random.SeedSequence(key).generate_state(1)[0])


class Repetition(int):
    """Index of a sample that a sampler may give several times in an epoch.

    Args:
        index: in the dataset.
        *key: what tells it from the other times: how often it came before, on which rank.
    """

    def __new__(cls, index: int, *key: int) -> 'Repetition':
        """Keep the key beside the number."""
        repetition = super().__new__(cls, index)
        repetition.key = key
        return repetition

    def __reduce__(self) -> tuple:
        """Indices go to the processes of the loader."""
        return Repetition, (int(self), *self.key)


class CountingSampler:
    """A sampler whose indices are told apart; anything else is asked of the sampler itself."""

    def __init__(self, sampler: Sampler | Sequence[int], rank: int) -> None:
        self.sampler = sampler
        self.rank = rank

    def __iter__(self) -> Iterator[Repetition]:
        """The indices of the sampler, in its order."""
        times = Counter()
        for index in self.sampler:
            yield Repetition(index, times[index], self.rank)
            times[index] += 1

    def __len__(self) -> int:
        """Number of indices."""
        return len(self.sampler)

    def __getattr__(self, name: str) -> Any:
        """Attributes that batch samplers and hooks ask, such as ``dataset`` and ``set_epoch``."""
        return getattr(self.sampler, name)


class SeededSamples:
    """Loads samples of a dataset, each with random numbers of its own.

    Python's, NumPy's and torch's generators are seeded before each sample, by the seed of the run,
    the epoch and the index.

    Args:
        dataset: outermost one, with all wrappers: a wrapper that repeats an image gives each
            repetition an index, hence an augmentation, of its own.
        seed: of the run.
        epoch: (), int64, in shared memory: processes of the loader outlive an epoch.
        purpose: ``SAMPLE``, or another number for other streams.
    """

    def __init__(self, dataset: Dataset, seed: int, epoch: Tensor, purpose: int = SAMPLE) -> None:
        self.dataset = dataset
        self.seed = seed
        self.epoch = epoch
        self.purpose = purpose

    def __call__(self, indices: Sequence[int]) -> list[Any]:
        """Load samples."""
        return [self._load(index) for index in indices]

    def _load(self, index: int) -> Any:
        index, key = int(index), getattr(index, 'key', ())
        seed = derive_seed(self.seed, self.purpose, int(self.epoch), index, *key)
        random.seed(seed)
        np.random.seed(seed)
        torch.default_generator.manual_seed(seed)  # transforms run on the CPU
        return self.dataset[index]


@HOOKS.register_module()
class SeedHook(Hook):
    """Makes the random numbers of training a function of seed, epoch, image and iteration.

    mmengine seeds once, and saves no state of generators, so that a resumed run draws other numbers
    than the one that was interrupted; and with it the loader's processes start from the same
    seed whenever they are started. Here

    - the order of images depends on (seed, epoch),
    - the augmentation of an image on (seed, epoch, index in the dataset), so neither the number of
      workers nor that of ranks nor the batch size changes it; if the sampler is one that gives an
      image several times, also on how often it came before and on the rank,
    - what the model draws (RoIs, hallucinated features) on (seed, iteration, rank).

    Hence, on a CPU with the same number of threads and of ranks, a run that is killed and resumed
    ends with the same bits as one that is not. mmengine chooses the seed if the config does not,
    and saves it in the checkpoint, so this holds for any run that is resumed. On a GPU the sums of
    atomic operations differ from run to run; see ``randomness.deterministic``.

    A loop that counts iterations has no epochs; with it only what the model draws is seeded.
    """

    # Before other hooks draw numbers.
    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Take over the seeds of the loader."""
        # That of rank 0: with diff_rank_seed, the other ranks have seeds of their own.
        seed = torch.tensor(runner.seed)
        broadcast(seed)
        self.seed = int(seed)
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            return
        loader = runner.train_dataloader
        for sampler in (loader.sampler, getattr(loader.batch_sampler, 'sampler', None)):
            if hasattr(sampler, 'seed'):
                sampler.seed = self.seed
        batches = loader.batch_sampler
        repeats = batches is not None and not isinstance(
            batches.sampler, DefaultSampler | CountingSampler)
        if repeats:
            batches.sampler = CountingSampler(batches.sampler, get_rank())
        # torch's loader asks a dataset for the indices of a batch, if it has this method.
        loader.dataset.__getitems__ = SeededSamples(loader.dataset, self.seed, self.epoch)

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the epoch to the processes of the loader, before they start on it."""
        self.epoch.fill_(runner.epoch)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        """Seed what the model draws in this iteration."""
        seed = derive_seed(self.seed, STEP, runner.iter, get_rank())
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
