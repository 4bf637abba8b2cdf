"""Candidates of a detector, from before calibrator and NMS, kept on the disk.

I images, K candidates of an image at most, C classes.
"""
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bacl.compat.atomic_files import write_atomically
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from numpy.lib.format import open_memmap

from ..running.runner_state import unwrapped_model

RECORD, LOGITS, BOXES = 'candidates.json', 'logits.npy', 'boxes.npy'


class Candidates:
    """Candidates of images in a folder, mapped into memory as they are needed.

    The folder holds what they were made of, too; without that record, it is no complete set.

    Args:
        folder: of the files.

    Attributes:
        image_ids: I, in the order of the detector.
        num_rois: I, candidates of each image.
    """

    def __init__(self, folder: Path) -> None:
        record = json.loads((folder / RECORD).read_text())
        self.image_ids, self.num_rois = record['image_ids'], record['num_rois']
        self._logits = np.load(folder / LOGITS, mmap_mode='r')
        self._boxes = np.load(folder / BOXES, mmap_mode='r')

    def __iter__(self) -> Iterator[tuple[int, InstanceData]]:
        """Image ids with ``bboxes`` (R, 4) or (R, C * 4) and ``logits`` (R, channels)."""
        for row, (image_id, number) in enumerate(zip(self.image_ids, self.num_rois, strict=True)):
            yield image_id, InstanceData(
                bboxes=torch.from_numpy(self._boxes[row, :number].copy()),
                logits=torch.from_numpy(self._logits[row, :number].copy()))


def stored_differences(folder: Path, made_of: dict[str, Any]) -> list[str]:
    """Names of what stored candidates were made of differently.

    Args:
        folder: of the candidates.
        made_of: what they are to be made of; JSON.

    Returns:
        None if they can be used; 'none stored' if there are none.
    """
    if not (folder / RECORD).is_file():
        return ['none stored']
    stored = json.loads((folder / RECORD).read_text())['made_of']
    return [key for key in made_of if stored.get(key) != made_of[key]]


class CandidateHook(Hook):
    """Keeps the candidates of a test, beside what the test does anyway.

    Args:
        folder: where to; what is there is replaced.
        num_images: I, of the test.
        max_rois: K; of more, those with the highest scores of a class are kept.
        made_of: see :func:`stored_differences`.

    Raises:
        OSError: if the disk is too full, before anything is written.
    """

    def __init__(self, folder: Path, num_images: int, max_rois: int,
                 made_of: dict[str, Any]) -> None:
        self.folder, self.num_images, self.max_rois = folder, num_images, max_rois
        self.made_of = made_of
        self.image_ids: list[int] = []
        self.num_rois: list[int] = []
        self._arrays: tuple[np.memmap, np.memmap] | None = None

    def before_test(self, runner: Runner) -> None:
        """Listen to the RoI head."""
        self.roi_head = unwrapped_model(runner).roi_head
        predict = self.roi_head.predict_candidates

        def predict_candidates(x: Any, batch_img_metas: list[dict], *args: Any) -> list:
            candidates = predict(x, batch_img_metas, *args)
            for meta, image in zip(batch_img_metas, candidates, strict=True):
                self.add(meta['img_id'], image)
            return candidates

        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / RECORD).unlink(missing_ok=True)
        self.roi_head.predict_candidates = predict_candidates

    def add(self, image_id: int, image: InstanceData) -> None:
        """Keep the candidates of one more image."""
        if self._arrays is None and len(image):
            self._arrays = self._allocate(image.logits.size(1), image.bboxes.size(1))
        best = image.scores[:, :-1].amax(dim=1).topk(min(self.max_rois, len(image))).indices
        best = best.sort().values  # in their order, which decides between equal scores
        row = len(self.image_ids)
        self.image_ids.append(image_id)
        self.num_rois.append(len(best))
        for array, values in zip(self._arrays or (), (image.logits, image.bboxes), strict=False):
            array[row, :len(best)] = values[best].float().cpu().numpy()

    def _allocate(self, num_channels: int, num_coordinates: int) -> tuple[np.memmap, np.memmap]:
        shapes = [(self.num_images, self.max_rois, size)
                  for size in (num_channels, num_coordinates)]
        size = sum(4 * np.prod(shape, dtype=np.int64) for shape in shapes)
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise OSError(f'The candidates of {self.num_images} images take {size / 2**30:.1f} GB, '
                          f'but {self.folder} has {free / 2**30:.1f} GB left. Hold out a smaller '
                          '--share, keep fewer of an image with --max-rois, or choose another '
                          '--work-dir.')
        print_log(f'The candidates take up to {size / 2**20:.0f} MB in {self.folder}.',
                  logger='current')
        return tuple(open_memmap(self.folder / name, 'w+', np.float32, shape)
                     for name, shape in zip((LOGITS, BOXES), shapes, strict=True))

    def after_test(self, runner: Runner) -> None:
        """Complete the set."""
        del self.roi_head.predict_candidates
        if self._arrays is None:
            raise ValueError('The detector has no proposal in any held-out image. Check the '
                             'checkpoint and the test pipeline of the config.')
        for array in self._arrays:
            array.flush()
        record = dict(made_of=self.made_of, image_ids=self.image_ids, num_rois=self.num_rois)
        write_atomically(self.folder / RECORD, json.dumps(record).encode())
