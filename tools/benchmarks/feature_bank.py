"""CPU time of a stage 2 over a feature bank, against the same stage 2 on images.

Whole iterations: loading of a batch, forward and backward pass, optimizer; and predictions of a
batch of the test. Both read the same images of Emoji-LT, of which a small bank is built first, with
`--checkpoint` of stage 1 from the proposals of real training. A run is two epochs of all training
images and a test of all validation images, without start and evaluation, which are alike. The run
at 1,203 classes is on random features: two epochs of 8,000 images and a test of 1,600.
"""

import argparse
import tempfile
import time
from collections.abc import Iterable, Iterator
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from bacl.feature_bank import BankOptions, build_feature_bank, to_feature_bank
from bacl.feature_bank.loading import LoadFeatureBankSample
from bacl.feature_bank.storage import FORMAT, RECORD, FeatureWriter, write_meta
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, load_checkpoint
from reporting import add_arguments, compare, row, run, time_in_turn

CONFIG = 'configs/bacl/faster-rcnn_effnet-lite0_emoji-lt-{preset}_stage2-bacl.py'
EPOCHS = 2
LARGE = dict(classes=1203, train=8000, val=1600, proposals=200, test_proposals=100, objects=5)


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--checkpoint', help='of stage 1; default: random weights')
    parser.add_argument('--preset', choices=('mini', 'smoke'), default='mini')
    parser.add_argument('--images', type=int, default=96, help='of the bank that is built')
    parser.add_argument('--rounds', type=int, default=12)
    add_arguments(parser)
    args = parser.parse_args(argv)
    if args.quick:
        args.preset, args.images, args.rounds = 'smoke', 16, 2
    return args


class Stage2:
    """Iterations of training and test of one config."""

    def __init__(self, config: Config, checkpoint: str | None) -> None:
        torch.manual_seed(0)
        self.model = MODELS.build(config.model)
        if checkpoint:
            load_checkpoint(self.model, checkpoint, map_location='cpu', logger='silent')
        self.optimizer = build_optim_wrapper(self.model, config.optim_wrapper)
        self.batches, self.images = (
            self._endless(config[f'{split}_dataloader']) for split in ('train', 'test'))

    def _endless(self, loader: dict) -> Iterator[dict]:
        loader = Runner.build_dataloader(dict(loader, num_workers=0, persistent_workers=False))
        while True:
            yield from loader

    def set_mode(self, training: bool) -> None:
        """Train or test from now on; a run does so once an epoch."""
        self.model.train(training)

    def train(self) -> None:
        """An iteration of training."""
        self.model.train_step(next(self.batches), self.optimizer)

    @torch.no_grad()
    def test(self) -> None:
        """Predictions of a batch."""
        self.model.test_step(next(self.images))


class RandomBank(Stage2):
    """Iterations at many classes on random features, without a dataset."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.folder, self.num_images = folder, 64
        rng = np.random.default_rng(0)
        num_feats = config.model.roi_head.bbox_head.fc_out_channels
        write_meta(folder, dict(format=FORMAT, complete=True, splits=['train', 'val'],
                                num_feats=num_feats, dtype='float16'))
        for split in ('train', 'val'):
            writer = FeatureWriter(folder / split, num_feats, 'float16')
            for img_id in range(self.num_images):
                record, rows = self._image(split, img_id, rng)
                writer.append(record, **rows)
        config = deepcopy(config)
        config.model.type = 'FeatureBankDetector'
        config.model.feature_bank = str(folder)
        config.model.data_preprocessor = dict(type='StoredDataPreprocessor')
        config.model.roi_head.bbox_head.num_classes = LARGE['classes']
        super().__init__(config, None)

    def _image(self, split: str, img_id: int, rng: np.random.Generator) -> tuple:
        is_train = split == 'train'
        gts = LARGE['objects'] if is_train else 0
        proposals = LARGE['proposals' if is_train else 'test_proposals']
        record = np.zeros(1, RECORD)
        for name, value in dict(img_id=img_id, img_shape=160, ori_shape=160, scale_factor=1,
                                proposals=proposals, gts=gts, jittered=16 * gts,
                                draws=int(is_train)).items():
            record[name] = value
        corners = rng.uniform(0, 100, (max(gts, 1), 2))
        objects = np.concatenate([corners, corners + 40], 1)
        # A quarter of the proposals are near an object.
        near = np.resize(objects, (proposals // 4, 4)) + rng.uniform(-4, 4, (proposals // 4, 4))
        far = np.sort(rng.uniform(0, 160, (proposals - len(near), 2, 2)), 1).reshape(-1, 4)
        boxes = np.concatenate([near, far, objects[:gts], objects[:gts].repeat(16, 0)
                                + rng.uniform(-4, 4, (16 * gts, 4))])
        labels = rng.integers(LARGE['classes'], size=gts)
        return record, dict(
            feats=np.maximum(rng.normal(size=(len(boxes), 256)), 0), boxes=boxes,
            labels=np.concatenate([np.full(proposals, -1), labels, labels.repeat(16)]))

    def _endless(self, loader: dict) -> Iterator[dict]:
        split = 'train' if loader['dataset'].get('test_mode') is not True else 'val'
        load = LoadFeatureBankSample(str(self.folder), split, split == 'train')
        number = 0
        while True:
            images = [dict(img_id=(number + i) % self.num_images, img_path='', instances=[])
                      for i in range(loader['batch_size'])]
            number += len(images)
            yield pseudo_collate([load(image) for image in images])


def emoji_lt(args: argparse.Namespace, config: Config, folder: str) -> dict[str, Stage2]:
    """Stage 2 on images and over a bank of these, which is built."""
    for split in ('train', 'val', 'test'):
        config[f'{split}_dataloader'].dataset.indices = args.images
    checkpoint = args.checkpoint
    if not checkpoint:
        checkpoint = str(Path(folder, 'random.pth'))
        torch.save(dict(state_dict=MODELS.build(config.model).state_dict()), checkpoint)
    build_feature_bank(config, checkpoint, Path(folder, 'bank'),
                       BankOptions(views=1, jitters=1), lambda line: None)
    stored = deepcopy(config)
    stored.load_from = checkpoint
    to_feature_bank(stored, str(Path(folder, 'bank')))
    return {'online': Stage2(config, checkpoint), 'bank': Stage2(stored, checkpoint)}


def measure(args: argparse.Namespace) -> Iterable[dict]:
    """Yield the rows."""
    init_default_scope('mmdet')
    config = Config.fromfile(CONFIG.format(preset=args.preset))
    sizes = [1500, 400] if args.preset == 'mini' else [140, 40]
    batches = [config.train_dataloader.batch_size, config.test_dataloader.batch_size]
    with tempfile.TemporaryDirectory() as folder:
        sides = emoji_lt(args, deepcopy(config), folder)
        seconds = {}
        for what in ('train', 'test'):
            for side in sides.values():
                side.set_mode(what == 'train')
            seconds[what] = time_in_turn({name: getattr(side, what) for name, side in
                                          sides.items()}, args.rounds, time.process_time)
        yield from compare(f'stage-2 iteration, Emoji-LT {args.preset}', seconds['train'],
                           'online', 'bank', None)
        yield from compare(f'predictions of a batch, Emoji-LT {args.preset}', seconds['test'],
                           'online', 'bank', None)
        runs = {name: [EPOCHS * sizes[0] / batches[0] * train + sizes[1] / batches[1] * test
                       for train, test in zip(seconds['train'][name], seconds['test'][name],
                                              strict=True)] for name in sides}
        yield from compare(f'run of {EPOCHS} epochs and a test, Emoji-LT {args.preset}', runs,
                           'online', 'bank', '>= 20')
    with tempfile.TemporaryDirectory() as folder:
        large = RandomBank(config, Path(folder))
        medians = []
        for what in ('train', 'test'):
            large.set_mode(what == 'train')
            times = time_in_turn({'bank': getattr(large, what)}, args.rounds, time.process_time)
            medians.append(float(np.median(times['bank'])))
        train, test = medians
        total = EPOCHS * LARGE['train'] / batches[0] * train + LARGE['val'] / batches[1] * test
        name = f'bank, C = {LARGE["classes"]:,}'
        yield row(f'stage-2 iteration, {name}', 1000 * train, 'ms')
        yield row(f'predictions of a batch, {name}', 1000 * test, 'ms')
        yield row(f'run of {EPOCHS} epochs and a test, {name}', total, 's', '<= 60')


if __name__ == '__main__':
    run(parse_args(), measure)
