"""The building of a feature bank: one pass over all images, which can be interrupted."""
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bacl.compat.checkpoints import load_weights
from bacl.models.augmenters import GTBoxGenerator
from mmdet.registry import DATASETS
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from torch import nn
from torch.utils.data import DataLoader

from .extraction import BankOptions, build_extractor, extract, proposal_cfg
from .fingerprint import (
    REPEATING,
    code_versions,
    config_settings,
    dataset_settings,
    differences,
    evaluated_splits,
    weight_digests,
)
from .storage import (
    FORMAT,
    RECORD,
    FeatureBankError,
    FeatureWriter,
    as_size,
    read_meta,
    require_room,
    write_meta,
)
from .views import ViewDataset, check_views, random_flips, seed_all

REPORT_SECONDS = 10.0  # between two lines of progress
_IMAGES_FOR_ESTIMATE = 500


def build_feature_bank(cfg: Config, checkpoint: str, root: str,
                       options: BankOptions | None = None,
                       report: Callable[[str], None] = print) -> None:
    """Run the frozen part of a detector over all its images and store what the classifier gets.

    A bank that was begun by the same call goes on where it ended.

    Args:
        cfg: of a stage 1, or of a stage 2 on it.
        checkpoint: weights of stage 1.
        root: folder of the bank.
        options: what to store; None is the default.
        report: gets the size before the start, and lines of progress.

    Raises:
        FeatureBankError: if the folder has another bank, if there is no room, or if the checkpoint
            lacks weights of the extractor.
    """
    options, root = options or BankOptions(), Path(root)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    weights = load_weights(checkpoint)
    weights = weights.get('state_dict', weights)
    model = build_extractor(cfg, weights, checkpoint)
    configs = evaluated_splits(cfg)
    fingerprint = code_versions() | config_settings(cfg, options.negatives is not None) \
        | weight_digests(weights)
    for split, dataset in configs.items():
        fingerprint |= dataset_settings(split, dataset)
    head = model.roi_head.bbox_head
    meta = dict(
        format=FORMAT, complete=False, checkpoint=str(Path(checkpoint).resolve()),
        command=shlex.join(['python', *sys.argv]), num_classes=head.num_classes,
        num_feats=head.fc_cls.in_features, dtype=options.dtype, options=asdict(options),
        splits=list(configs), fingerprint=fingerprint,
        batch_sizes={split: cfg[f'{split}_dataloader'].batch_size for split in configs})
    root.mkdir(parents=True, exist_ok=True)
    if (root / 'meta.json').exists() and not _goes_on(root, meta, report):
        return
    views = {split: _views(split, config, options) for split, config in configs.items()}
    write_meta(root, meta)
    jobs = []
    for split, images in views.items():
        writer = FeatureWriter(root / split, meta['num_feats'], options.dtype)
        jobs += [Job(split, cfg[f'{split}_dataloader'], view, writer) for view in images]
    expected = sum(job.expected_bytes(model, options) for job in jobs)
    done = sum(writer.num_rows * writer.row_bytes for writer in {job.writer for job in jobs})
    images = ', '.join(f'{len(job.images)} images of {job.split}'
                       for job in jobs if job.images.view == 0)
    report(f'Feature bank of {images}, {options.views} view(s) for training: at most about '
           f'{as_size(expected)}' + f', {as_size(done)} of them there' * bool(done) + '.')
    require_room(root, max(0, int(expected - done)))
    Progress(jobs, report).run(model, options)
    write_meta(root, dict(meta, complete=True))
    size = sum(path.stat().st_size for path in root.rglob('*.bin'))
    report(f'The bank {root} is complete: {as_size(size)}.')


def _goes_on(root: Path, meta: dict[str, Any], report: Callable[[str], None]) -> bool:
    before = read_meta(root, only_complete=False)
    known, here = ({**of['fingerprint'], **_as_text(of['options'])} for of in (before, meta))
    if not before['complete']:  # it goes on after whole batches, which it counts
        known, here = ({**names, **_batch_sizes(of)}
                       for names, of in ((known, before), (here, meta)))
    found = differences(known, here)
    if found:
        raise FeatureBankError(f'--out {root} has a bank of something else:\n  '
                               + '\n  '.join(found[:10]) + '\nChoose another folder, or delete it.')
    if before['complete']:
        report(f'The bank {root} is complete already.')
    return not before['complete']


def _as_text(options: dict[str, Any]) -> dict[str, str]:
    return {f'--{name}': str(value) for name, value in options.items()}


def _batch_sizes(meta: dict[str, Any]) -> dict[str, str]:
    return {f'{split}_dataloader.batch_size': str(size)
            for split, size in meta.get('batch_sizes', {}).items()}


def _views(split: str, config: ConfigDict, options: BankOptions) -> list[ViewDataset]:
    """The images of a split, for training in as many ways as are asked for."""
    dataset = DATASETS.build(_outside_repetition(config))
    if split != 'train':
        return [ViewDataset(dataset, [], options.seed, 0)]
    flips = random_flips(dataset)
    views = [ViewDataset(dataset, flips, options.seed, view) for view in range(options.views)]
    check_views(views)
    return views


def _outside_repetition(dataset: ConfigDict) -> ConfigDict:
    while dataset.get('type') in REPEATING:
        dataset = dataset.dataset
    return dataset


@dataclass
class Job:
    """A view of all images of a split.

    Attributes:
        split: 'train', 'val' or 'test'.
        loader: config of its data loader.
        images: in the view.
        writer: of the split.
    """

    split: str
    loader: ConfigDict
    images: ViewDataset
    writer: FeatureWriter

    @property
    def num_batches(self) -> int:
        """Batches of the view."""
        return -(-len(self.images) // self.loader.batch_size)

    def expected_bytes(self, model: nn.Module, options: BankOptions) -> float:
        """About the most that the view can need."""
        is_train = self.split == 'train'
        rows = proposal_cfg(model, is_train).max_per_img
        if is_train:
            innermost = self.images.dataset
            while hasattr(innermost, 'dataset'):
                innermost = innermost.dataset
            step = max(1, len(innermost) // _IMAGES_FOR_ESTIMATE)
            numbers = [len(innermost.get_data_info(index)['instances'])
                       for index in range(0, len(innermost), step)]
            gts = float(np.mean(numbers))
            if options.negatives is not None:
                rows = min(rows, options.negatives + 10 * gts)
            rows += gts * (1 + GTBoxGenerator.num_boxes * options.jitters)
        return len(self.images) * (rows * self.writer.row_bytes + RECORD.itemsize)

    def batches(self, first: int) -> Iterator[list[dict[str, Any] | None]]:
        """Samples in batches of the size and, in tests, the order of the data loader."""
        size, number = self.loader.batch_size, len(self.images)
        order = [list(range(start, min(start + size, number)))
                 for start in range(first * size, number, size)]
        return iter(DataLoader(self.images, batch_sampler=order, collate_fn=list,
                               num_workers=self.loader.get('num_workers', 0)))


class Progress:
    """Goes through jobs, says how far it is, and leaves out what is there.

    Args:
        jobs: in the order of the files.
        report: gets a line every :data:`REPORT_SECONDS`.
    """

    def __init__(self, jobs: list[Job], report: Callable[[str], None]) -> None:
        self.jobs = jobs
        self.report = report

    def run(self, model: nn.Module, options: BankOptions) -> None:
        """Fill the splits."""
        self.total = sum(job.num_batches for job in self.jobs)
        self.done, self.start, self.last = 0, time.monotonic(), time.monotonic()
        self.skipped = 0
        before = dict.fromkeys((job.split for job in self.jobs), 0)
        for job in self.jobs:
            first = min(max(job.writer.num_batches - before[job.split], 0), job.num_batches)
            before[job.split] += job.num_batches
            self.done += first
            self.skipped += first
            if first == job.num_batches:
                continue
            for number, samples in enumerate(job.batches(first), start=first):
                seed_all(options.seed, 1, job.images.view, number)
                records, rows = extract(
                    model, [sample for sample in samples if sample is not None],
                    job.split == 'train', job.images.view, options)
                job.writer.append(records, **rows)
                self._tell(job)

    def _tell(self, job: Job) -> None:
        self.done += 1
        now = time.monotonic()
        if now - self.last < REPORT_SECONDS and self.done < self.total:
            return
        self.last = now
        rate = (self.done - self.skipped) / (now - self.start)
        left = (self.total - self.done) / rate
        written = job.writer.num_rows * job.writer.row_bytes
        self.report(
            f'{self.done}/{self.total} batches, {job.split} view {job.images.view}, '
            f'{rate * job.loader.batch_size:.1f} images/s, {job.split} {as_size(written)}, '
            f'ETA {int(left // 3600)}:{int(left % 3600 // 60):02}:{int(left % 60):02}')
