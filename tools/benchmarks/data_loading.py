"""Images per second that one worker loads with Copy-Paste: our transforms against mmdet's.

Images and polygons are generated in a temporary folder; nothing is downloaded. The pipelines are
those of the config; for mmdet's side our transforms are replaced by the ones they stand for. Both
sides see the same random numbers, and have to give the same samples before they are timed.
"""

import argparse
import json
import pickle
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median

import bacl  # noqa: F401
import cv2
import numpy as np
import torch
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from reporting import add_arguments, row, run, time_in_turn

CONFIG = Path(__file__).parents[2] / 'configs/_base_/datasets/lvis_v1_copy-paste.py'
MMDET_TRANSFORMS = {
    'LoadCroppedMasks': dict(type='LoadAnnotations', with_mask=True),
    'ContiguousRandomFlip': dict(type='RandomFlip'),
    'CroppedCopyPaste': dict(type='CopyPaste'),
}
IMAGE_SIZE = (640, 480)  # (w, h), pixels
TARGET = 2.0  # times the images/s of mmdet's pipeline


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--instances', type=int, nargs='+', default=[5, 13, 40],
                        help='objects in an image')
    parser.add_argument('--images', type=int, default=4, help='images of a dataset')
    parser.add_argument('--rounds', type=int, default=5,
                        help='timings of each side; the median counts')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--profile', action='store_true',
                        help='print milliseconds by transform instead')
    add_arguments(parser)
    args = parser.parse_args(argv)
    if args.quick:
        args.instances, args.images, args.rounds = [3], 2, 1
    if min(*args.instances, args.images, args.rounds) < 1:
        parser.error('--instances, --images and --rounds expect numbers from 1 on')
    return args


def draw_image(rng: np.random.Generator) -> np.ndarray:
    """Return noise of several scales, ``(h, w, 3)``: as hard to decode as a photograph."""
    width, height = IMAGE_SIZE
    image = np.full((height, width, 3), 128.0)
    for cell, contrast in [(80, 60), (16, 25), (4, 10), (1, 4)]:
        noise = rng.normal(0, contrast, (height // cell, width // cell, 3))
        image += cv2.resize(noise, IMAGE_SIZE, interpolation=cv2.INTER_CUBIC)
    return image.clip(0, 255).astype(np.uint8)


def draw_polygon(rng: np.random.Generator) -> np.ndarray:
    """Return a star-shaped polygon of 10 to 60 vertices, ``(n, 2)``, inside the image.

    Its side is log-normal: the median is 45 pixels, one in six is below 17 or above 122.
    """
    num_vertices = rng.integers(10, 61)
    radius = np.exp(rng.normal(np.log(45), 1)).clip(4, 400) / 2
    angles = np.sort(rng.uniform(0, 2 * np.pi, num_vertices))
    offsets = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    offsets *= radius * rng.uniform(0.7, 1.3, (num_vertices, 1))
    return (rng.uniform(0, IMAGE_SIZE) + offsets).clip(0, IMAGE_SIZE).round(2)


def write_dataset(root: Path, num_images: int, num_instances: int, seed: int) -> None:
    """Write an LVIS v1 training set to ``root``, every image with ``num_instances`` objects."""
    rng = np.random.default_rng(seed)
    width, height = IMAGE_SIZE
    images, annotations = [], []
    for image_id in range(1, num_images + 1):
        name = f'train2017/{image_id:012}.jpg'
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), draw_image(rng))
        images.append(dict(
            id=image_id, width=width, height=height, not_exhaustive_category_ids=[],
            neg_category_ids=[], coco_url=f'http://images.cocodataset.org/{name}'))
        for _ in range(num_instances):
            polygon = draw_polygon(rng)
            (x, y), size = polygon.min(axis=0), np.ptp(polygon, axis=0)
            annotations.append(dict(
                id=len(annotations) + 1, image_id=image_id, category_id=1,
                bbox=[float(x), float(y), *size.tolist()], area=float(size.prod() / 2),
                segmentation=[polygon.ravel().tolist()]))
    category = dict(id=1, name='thing', synset='thing.n.01', frequency='f',
                    image_count=num_images, instance_count=len(annotations))
    (root / 'annotations').mkdir()
    (root / 'annotations/lvis_v1_train.json').write_text(
        json.dumps(dict(images=images, annotations=annotations, categories=[category])))


def build_datasets(root: Path) -> dict[str, torch.utils.data.Dataset]:
    """Return the dataset of the config with mmdet's transforms and with ours."""
    datasets = {}
    for side in ('mmdet', 'bacl'):
        cfg = Config.fromfile(CONFIG).train_dataloader.dataset
        cfg.dataset.data_root = str(root)
        if side == 'mmdet':
            for owner in (cfg, cfg.dataset):
                owner.pipeline = [
                    {**step, **MMDET_TRANSFORMS.get(step['type'], {})} for step in owner.pipeline]
        datasets[side] = DATASETS.build(cfg)
    return datasets


def load(dataset: torch.utils.data.Dataset, seed: int, full_bitmaps: bool = False) -> list[dict]:
    """Load every image once; ``full_bitmaps`` makes full masks of crops, as a mask head does."""
    np.random.seed(seed)
    samples = []
    for index in range(len(dataset)):
        samples.append(dataset[index])
        if full_bitmaps:
            samples[-1]['data_samples'].gt_instances.masks.to_ndarray()
    return samples


def check_same(ours: dict, theirs: dict) -> None:
    """Raise an error unless two samples hold the same image and ground truth."""
    if not torch.equal(ours['inputs'].long(), theirs['inputs'].long()):
        raise RuntimeError('The two pipelines give different images.')
    ours, theirs = ours['data_samples'].gt_instances, theirs['data_samples'].gt_instances
    if not (torch.equal(ours.bboxes.tensor, theirs.bboxes.tensor)
            and torch.equal(ours.labels, theirs.labels)
            and np.array_equal(ours.masks.to_ndarray(), theirs.masks.to_ndarray())):
        raise RuntimeError('The two pipelines give different boxes, labels or masks.')


def megabytes(sample: dict) -> float:
    """Return what a worker sends to the training process for one image, MB."""
    masks = pickle.dumps(sample['data_samples'].gt_instances.masks)
    return (sample['inputs'].nbytes + len(masks)) / 1e6


def measure_instances(args: argparse.Namespace, num_instances: int) -> list[dict]:
    """Compare both sides on images with ``num_instances`` objects."""
    with tempfile.TemporaryDirectory() as root:
        write_dataset(Path(root), args.images, num_instances, args.seed)
        datasets = build_datasets(Path(root))
        samples = {side: load(dataset, args.seed) for side, dataset in datasets.items()}
        for ours, theirs in zip(samples['bacl'], samples['mmdet'], strict=True):
            check_same(ours, theirs)
        sent = {side: median(map(megabytes, s)) for side, s in samples.items()}
        del samples
        sides = {'mmdet': ('mmdet', False), 'bacl': ('bacl', False),
                 'bacl, masks made full': ('bacl', True)}
        seconds = time_in_turn({
            side: partial(load_next, datasets[name], count(args.seed), full_bitmaps)
            for side, (name, full_bitmaps) in sides.items()}, args.rounds)
    rows = []
    for side, times in seconds.items():
        rows.append(row(f'{num_instances} instances: {side}', args.images / median(times),
                        'images/s'))
        if side != 'mmdet':
            ratio = median(t / s for t, s in zip(seconds['mmdet'], times, strict=True))
            rows.append(row(f'{num_instances} instances: {side} / mmdet', ratio, 'x speed',
                            f'>= {TARGET}'))
    return rows + [row(f'{num_instances} instances: sent to the training process, {side}', value,
                       'MB/image') for side, value in sent.items()]


def load_next(dataset: torch.utils.data.Dataset, seeds: Iterator[int],
              full_bitmaps: bool) -> None:
    """Load a dataset with the next seed: in every round, all sides draw the same."""
    load(dataset, next(seeds), full_bitmaps)


def measure(args: argparse.Namespace) -> list[dict]:
    """Return rows with ``name``, ``value``, ``unit`` and ``target`` (None: just reported)."""
    init_default_scope('mmdet')
    num_threads = cv2.getNumThreads()
    cv2.setNumThreads(0)  # as in the workers of the configs
    try:
        return [entry for n in args.instances for entry in measure_instances(args, n)]
    finally:
        cv2.setNumThreads(num_threads)


class Stopwatch:
    """A transform that adds up the time it takes."""

    def __init__(self, transform, seconds: dict[str, float], name: str) -> None:
        self.transform, self.seconds, self.name = transform, seconds, name

    def __getattr__(self, name: str):
        return getattr(self.transform, name)

    def __call__(self, results: dict) -> dict | None:
        """Transform a sample and add the time."""
        start = time.perf_counter()
        results = self.transform(results)
        self.seconds[self.name] = (
            self.seconds.get(self.name, 0.0) + time.perf_counter() - start)
        return results


def profile(args: argparse.Namespace, num_instances: int) -> dict[str, dict[str, float]]:
    """Return milliseconds a sample, by side and mmdet's name of the transform.

    Transforms marked 1 run for both images of a sample, those marked 2 for the pair. The rest are
    mostly copies that ``MultiImageMixDataset`` makes between the transforms.
    """
    init_default_scope('mmdet')
    table = {}
    with tempfile.TemporaryDirectory() as root:
        write_dataset(Path(root), args.images, num_instances, args.seed)
        for side, dataset in build_datasets(Path(root)).items():
            load(dataset, args.seed)
            seconds = {}
            for where, transforms in [('1', dataset.dataset.pipeline.transforms),
                                      ('2', dataset.pipeline)]:
                for i, transform in enumerate(transforms):
                    name = type(transform).__name__
                    name = MMDET_TRANSFORMS.get(name, dict(type=name))['type']
                    transforms[i] = Stopwatch(transform, seconds, f'{where} {name}')
            start = time.perf_counter()
            for round_ in range(args.rounds):
                load(dataset, round_)
            total = time.perf_counter() - start
            seconds['copies and the rest'] = total - sum(seconds.values())
            seconds['all'] = total
            num_samples = args.rounds * args.images
            table[side] = {name: 1000 * value / num_samples for name, value in seconds.items()}
    return table


def main(argv: Iterable[str] | None = None) -> None:
    """Measure or profile, and print."""
    args = parse_args(argv)
    if not args.profile:
        run(args, measure)
        return
    for num_instances in args.instances:
        table = profile(args, num_instances)
        print(f'{num_instances} instances, ms a sample:'.ljust(36) + '    mmdet      bacl')
        for name, milliseconds in table['mmdet'].items():
            print(f'{name:34} {milliseconds:10.2f}{table["bacl"][name]:10.2f}')


if __name__ == '__main__':
    main()
