"""Time and memory of LVIS evaluation, beside lvis-api (package `lvis`), on generated data.

Both read the same annotation and result files. Each run is a process of its own; its time is taken
around the evaluation, without imports. Its peak memory is the highest resident one (VmHWM).

lvis-api takes about a gigabyte and half a minute for every 1,000 images, so it may get fewer images
than we do; ratios are taken at the size of both.
"""
import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import ModuleType

import numpy as np

NAMES = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'APr', 'APc', 'APf')
SIDE = 640  # of an image, in pixels


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--images', type=int, default=19809, help='default: as LVIS v1 val')
    parser.add_argument('--categories', type=int, default=1203)
    parser.add_argument('--detections', type=int, default=300, help='of an image')
    parser.add_argument('--lvis-api-images', type=int, default=1000,
                        help='at most --images (default: 1000)')
    parser.add_argument('--repeats', type=int, default=5, help='of every run, in turn')
    parser.add_argument('--seed', type=int, default=0)
    reporting().add_arguments(parser)
    args = parser.parse_args(argv)
    if args.quick:
        args.images, args.lvis_api_images, args.categories, args.repeats = 60, 40, 60, 1
    args.lvis_api_images = min(args.lvis_api_images, args.images)
    return args


def measure(args: argparse.Namespace) -> list[dict]:
    """Generate data and run everything.

    Args:
        args: of :func:`parse_args`.

    Returns:
        Rows of the table.
    """
    row = reporting().row
    with tempfile.TemporaryDirectory(prefix='bacl_benchmark_') as name:
        small, large = Path(name) / 'small', Path(name) / 'large'
        generate(small, args.lvis_api_images, args)
        if args.images > args.lvis_api_images:
            generate(large, args.images, args)
        else:
            large = small
        kinds = {'evaluate_lvis': (large, 'files'), 'FastLVISMetric': (large, 'metric'),
                 'evaluate_lvis, small': (small, 'files')}
        if large == small:
            del kinds['evaluate_lvis, small']
        api, runs = [], {kind: [] for kind in kinds}
        for _ in range(args.repeats):
            api.append(run_measured(small, 'lvis-api'))
            for kind, how in kinds.items():
                runs[kind].append(run_measured(*how))
    same = runs.pop('evaluate_lvis, small', runs['evaluate_lvis'])
    size = f'{args.lvis_api_images} images'
    seconds = {kind: median(run['seconds'] for run in of_kind) for kind, of_kind in runs.items()}
    api_seconds, our_seconds = (median(run['seconds'] for run in of) for of in (api, same))
    rows = [
        row(f'lvis-api, {size}', api_seconds, 's'),
        row(f'lvis-api, peak memory, {size}', highest(api), 'GB'),
        row(f'evaluate_lvis, {size}', our_seconds, 's'),
        row(f'evaluate_lvis, peak memory, {size}', highest(same), 'GB'),
        row(f'lvis-api / evaluate_lvis, time, {size}', api_seconds / our_seconds, 'x', '>= 3'),
        row('largest difference of the nine APs', max(
            abs(run['metrics'][name] - api[0]['metrics'][name]) for run in same for name in NAMES),
            'AP', '<= 1e-9'),
    ]
    size = f'{args.images} images'
    for kind, of_kind in runs.items():
        rows += [row(f'{kind}, {size}', seconds[kind], 's'),
                 row(f'{kind}, peak memory, {size}', highest(of_kind), 'GB', '<= 4')]
    return rows


def reporting() -> ModuleType:
    """Helpers of the benchmarks; imported late: the runs, whose memory counts, need no torch."""
    return importlib.import_module('reporting')


def highest(runs: list[dict]) -> float:
    """Highest memory of all runs, in GB (10^9 bytes)."""
    return max(run['bytes'] for run in runs) / 1e9


def generate(folder: Path, num_images: int, args: argparse.Namespace) -> None:
    """Write an LVIS-like data set and detections: gt.json, dt.json and the latter as dt.npz.

    In each image 12 objects of up to 6 categories, drawn by Zipf's law without its head (the most
    frequent is in 5 % of the images, the median category in 0.5 %); 8 categories known to be
    absent; in every second image one not exhaustively annotated. A third of the detections are
    objects with jitter and a higher score on average, the others have random categories.

    Args:
        folder: to be created.
        num_images: of the data set.
        args: of :func:`parse_args`.
    """
    from bacl.evaluation.functional.detections import Detections
    from bacl.evaluation.functional.records import write_records
    folder.mkdir()
    rng = np.random.default_rng(args.seed)
    num_classes, num_dets = args.categories, args.detections
    share = 1 / np.arange(30, 30 + num_classes)
    borders = np.cumsum(share / share.sum())

    def draw_labels(count: int) -> np.ndarray:
        return np.minimum(np.searchsorted(borders, rng.random(count)), num_classes - 1)

    images, annotations, columns = [], [], []
    for image_id in range(1, num_images + 1):
        present = np.unique(draw_labels(6))
        absent = np.setdiff1d(rng.integers(0, num_classes, 8), present)
        images.append({
            'id': image_id, 'height': SIDE, 'width': SIDE,
            'neg_category_ids': (absent + 1).tolist(),
            'not_exhaustive_category_ids': (present[:image_id % 2] + 1).tolist(),
        })
        labels = rng.choice(present, 12)
        sides = np.exp(rng.uniform(np.log(8), np.log(300), (12, 2)))
        boxes = np.concatenate([rng.random((12, 2)) * (SIDE - sides), sides], axis=1).round(2)
        annotations += [
            {'id': len(annotations) + i + 1, 'image_id': image_id, 'category_id': label + 1,
             'bbox': box, 'area': box[2] * box[3]}
            for i, (label, box) in enumerate(zip(labels.tolist(), boxes.tolist(), strict=True))]
        source = rng.integers(0, 12, num_dets)
        near = rng.random(num_dets) < 1 / 3
        jitter = rng.normal(size=(num_dets, 4)) * 0.1 * sides[source].max(1, keepdims=True)
        found = boxes[source] + jitter
        found[:, 2:] = found[:, 2:].clip(2)
        columns.append((np.where(near, labels[source], draw_labels(num_dets)) + 1,
                        (rng.random(num_dets) * (0.5 + 0.5 * near)).round(4),
                        found.round(2)))
    # LVIS v1 has 337 rare, 461 common and 405 frequent categories.
    ends = (np.array([405, 866, 1203]) / 1203 * num_classes).round().astype(int)
    frequency = [g for g, (a, b) in zip('fcr', pairwise([0, *ends]), strict=True)
                 for _ in range(b - a)]
    categories = [{'id': i, 'name': f'thing {i}', 'frequency': f}
                  for i, f in enumerate(frequency, start=1)]
    (folder / 'gt.json').write_text(json.dumps(
        {'images': images, 'annotations': annotations, 'categories': categories}))
    category_id, score, boxes = (np.concatenate(column)
                                 for column in zip(*columns, strict=True))
    image_id = np.repeat(np.arange(1, num_images + 1), num_dets)
    write_records(folder / 'dt.json',
                  Detections(image_id, category_id, score, boxes[:, 2] * boxes[:, 3],
                             boxes).records(boxes))
    np.savez(folder / 'dt.npz', category_id=category_id, score=score, boxes=boxes)


def run_measured(folder: Path, how: str) -> dict:
    """Run a process that evaluates and measures itself.

    Args:
        folder: of :func:`generate`.
        how: see :func:`evaluate`.

    Returns:
        ``seconds``, ``bytes`` and ``metrics``.

    Raises:
        RuntimeError: if the process fails.
    """
    process = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), 'run', str(folder), how],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if process.returncode != 0:
        raise RuntimeError(f'{how} on {folder} failed (exit status {process.returncode}): '
                           f'{process.stderr[-2000:]}')
    return json.loads((folder / 'out.json').read_text())


def highest_bytes() -> int:
    """Highest resident memory of this process so far."""
    # Not ru_maxrss, which starts with the memory of the process that started this one.
    status = Path('/proc/self/status').read_text()
    return int(status.split('VmHWM:')[1].split()[0]) * 1024


def evaluate(folder: Path, how: str) -> tuple[float, dict[str, float]]:
    """Evaluate in this process.

    Args:
        folder: of :func:`generate`.
        how: 'lvis-api'; 'files', which is `evaluate_lvis`; or 'metric', which is what
            `FastLVISMetric` does once it has processed all images.

    Returns:
        Seconds, and the nine APs.
    """
    ann_file, result_file = str(folder / 'gt.json'), str(folder / 'dt.json')
    if how == 'lvis-api':
        np.float = float  # lvis uses the alias that NumPy 1.24 removed
        import lvis
        start = time.perf_counter()
        gt = lvis.LVIS(ann_file)
        evaluation = lvis.LVISEval(gt, lvis.LVISResults(gt, result_file), 'bbox')
        evaluation.run()
        seconds = time.perf_counter() - start
        return seconds, {name: float(evaluation.results[name]) for name in NAMES}
    from bacl.evaluation import FastLVISMetric, evaluate_lvis
    if how == 'files':
        start = time.perf_counter()
        metrics = evaluate_lvis(ann_file, result_file)
        return time.perf_counter() - start, metrics
    metric = FastLVISMetric(ann_file=ann_file)
    process(metric, folder / 'dt.npz')
    start = time.perf_counter()
    metrics = metric.evaluate(len(metric.annotations['images']))
    seconds = time.perf_counter() - start
    return seconds, {name: metrics[f'lvis/bbox_{name}'] for name in NAMES}


def process(metric: 'FastLVISMetric', path: Path) -> None:  # noqa: F821
    """Give a metric the detections as a detector does, two images at a time."""
    import torch
    arrays = np.load(path)
    num_images = len(metric.annotations['images'])
    category_id, score, boxes = (np.array_split(arrays[key], num_images)
                                 for key in ('category_id', 'score', 'boxes'))
    samples = []
    for index in range(num_images):
        x, y, w, h = boxes[index].T
        corners = np.stack([x, y, x + w, y + h], axis=1).astype(np.float32)
        samples.append({'img_id': index + 1, 'pred_instances': {
            'bboxes': torch.from_numpy(corners),
            'scores': torch.from_numpy(score[index].astype(np.float32)),
            'labels': torch.from_numpy(category_id[index] - 1)}})
        if len(samples) == 2 or index + 1 == num_images:
            metric.process({}, samples)
            samples = []


if __name__ == '__main__':
    if sys.argv[1:2] == ['run']:  # a process of run_measured
        run_folder = Path(sys.argv[2])
        run_seconds, run_metrics = evaluate(run_folder, sys.argv[3])
        (run_folder / 'out.json').write_text(json.dumps(
            {'seconds': run_seconds, 'bytes': highest_bytes(), 'metrics': run_metrics}))
    else:
        reporting().run(parse_args(), measure)
