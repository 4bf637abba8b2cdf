"""Collection of the predictions of all ranks through array files in a folder that they share."""
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from mmengine.dist import all_gather_object, broadcast_object_list, get_dist_info

from .predictions import Predictions


def collect_predictions(predictions: Sequence[Predictions], size: int, collect_dir: str | None,
                        owner: str) -> Predictions | None:
    """Bring the predictions of all ranks to the main process.

    Every rank writes its arrays to a folder of its own; the main process reads them, and removes
    them, also after an error. Between ranks go only the name of the folder and messages of errors.

    Args:
        predictions: of this rank, batch after batch. Image k of rank r is image
            ``k * world_size + r`` of the data set, as MMEngine's samplers deal them out.
        size: number of images in the data set. More are what the sampler repeated to give every
            rank as many; they are cut off.
        collect_dir: folder that all ranks share, created if missing; None is the working
            directory.
        owner: for messages, as in 'FastLVISMetric'.

    Returns:
        Those of the data set, in its order; None if this is not the main process.

    Raises:
        RuntimeError: on every rank, if one of them cannot write its files.
    """
    rank, world_size = get_dist_info()
    if world_size == 1:
        return Predictions.concatenate(predictions, owner).first(size)

    def save() -> None:
        Predictions.concatenate(predictions, owner).save(folder / f'rank_{rank}.npz')

    folder = _shared_folder(rank, collect_dir, owner)
    try:
        _together(save, rank, owner,
                  'Set collect_dir to a folder that all ranks share and may write to.')
        return _read(folder, world_size, owner).first(size) if rank == 0 else None
    finally:
        if rank == 0:
            shutil.rmtree(folder, ignore_errors=True)


def _read(folder: Path, world_size: int, owner: str) -> Predictions:
    """The predictions of all ranks in the order of the data set."""
    parts = [Predictions.load(folder / f'rank_{rank}.npz') for rank in range(world_size)]
    position = np.concatenate([np.arange(len(part.image_id)) * world_size + rank
                               for rank, part in enumerate(parts)])
    return Predictions.concatenate(parts, owner)[np.argsort(position)]


def _shared_folder(rank: int, collect_dir: str | None, owner: str) -> Path:
    """The same new, empty folder on every rank."""
    made = []

    def make() -> None:
        if rank == 0:
            parent = Path(collect_dir or '.').absolute()
            parent.mkdir(parents=True, exist_ok=True)
            made.append(tempfile.mkdtemp(prefix='bacl_results_', dir=parent))

    _together(make, rank, owner, 'Set collect_dir to a folder that may be written to.')
    name = made or [None]
    broadcast_object_list(name)
    return Path(name[0])


def _together(action: Callable[[], None], rank: int, owner: str, cure: str) -> None:
    """Do something on every rank, and fail on all if it fails on one: else the others would wait.

    Returns when all have done it.
    """
    fault = None
    try:
        action()
    except Exception as error:  # whatever it is, the others must not wait
        fault = f'rank {rank}: {type(error).__name__}: {error}'
    faults = [fault for fault in all_gather_object(fault) if fault is not None]
    if faults:
        raise RuntimeError(f'{owner}(collect_dir=) expects every rank to write its results, got '
                           f'{"; ".join(faults)}. {cure}')
