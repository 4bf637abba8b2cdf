"""The files that a training and its test leave behind, found and read for a report.

A run is a work_dir. ``tools/train.py`` leaves its config, its checkpoints and, if it was asked to,
a record of what was imbalanced; ``tools/test.py`` leaves the predictions, in ``test/``.
"""
import logging
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bacl.annotations import read_annotations
from bacl.annotations.audit import check_annotations, check_form
from bacl.annotations.use import Use
from bacl.compat.checkpoints import load_weights
from bacl.compat.predictions import load_predictions
from bacl.datasets import CocoLTDataset, LongTailLVISV05Dataset, LongTailLVISV1Dataset
from bacl.datasets.long_tail import LongTailMixin
from bacl.engine.hooks.imbalance_hook import RECORD_NAME
from bacl.engine.probing.class_values import indicators
from bacl.engine.running.config_types import is_type, resolve_type
from bacl.engine.running.dataset_configs import unwrapped_datasets
from bacl.engine.running.evaluators import box_evaluator
from bacl.engine.running.steps import PREDICTIONS
from bacl.engine.running.work_dir import find_checkpoint
from bacl.evaluation import CocoLTMetric, Detections
from bacl.evaluation.metrics.grouped_ap_metric import GroupedAPMetric
from mmdet.registry import DATASETS, METRICS, MODELS, TRANSFORMS
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from torch import nn

from .classifier import ClassifierState, feature_statistics
from .diagnosis import Paths
from .measures.box_geometry import Pyramid
from .page import Images, Run, Validation
from .results import Matches, check_same_data, match_coco_lt, match_lvis

TEST_FOLDER = 'test'  # of a work_dir: what tools/test.py wrote


@dataclass(frozen=True)
class RunFiles:
    """Files of one run.

    Attributes:
        name: what the report calls it.
        work_dir: of the training.
        config: the config that it was tested with, else that it was trained with.
        predictions: of the validation images.
        checkpoints: by epoch or iteration, rising.
        record: what was measured during training, if it was.
    """

    name: str
    work_dir: Path
    config: Path
    predictions: Path
    checkpoints: dict[int, Path]
    record: Path | None


def find_runs(arguments: Sequence[str]) -> list[RunFiles]:
    """Find the files of runs.

    Args:
        arguments: each a work_dir, or ``NAME=work_dir``. Without a name a run is called like its
            folder; what all folders begin with is left out.

    Returns:
        The runs, in the same order.

    Raises:
        FileNotFoundError: naming every file that is missing, and the command that makes it.
        ValueError: if two runs have the same name.
    """
    given, folders = zip(*map(_split, arguments), strict=True)
    short = short_names([folder.resolve().name for folder in folders])
    names = [name or default for name, default in zip(given, short, strict=True)]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ValueError(f'RUN expects runs of different names, got {sorted(repeated)} more than '
                         'once. Name them: NAME=WORK_DIR.')
    found = [_find_run(name, folder) for name, folder in zip(names, folders, strict=True)]
    missing = [problem for problem in found if isinstance(problem, str)]
    if missing:
        raise FileNotFoundError('\n'.join(missing))
    return found


def _split(argument: str) -> tuple[str, Path]:
    """Name, '' for none, and work_dir of an argument; names of folders may have an ``=``, too."""
    name, sign, folder = argument.partition('=')
    return (name, Path(folder)) if sign and not Path(argument).is_dir() else ('', Path(argument))


def short_names(names: Sequence[str]) -> list[str]:
    """Names without the words that all of them begin with; words end with ``_``.

    Example:
        >>> short_names(['a_b_stage1', 'a_b_stage2'])
        ['stage1', 'stage2']
    """
    words = [name.split('_') for name in names]
    shared = 0
    while len(words) > 1 and all(len(parts) > shared + 1 for parts in words) and len(
            {parts[shared] for parts in words}) == 1:
        shared += 1
    return ['_'.join(parts[shared:]) for parts in words]


def _find_run(name: str, work_dir: Path) -> RunFiles | str:
    """The files, or what is missing."""
    predictions = work_dir / TEST_FOLDER / PREDICTIONS
    config = find_config(predictions.parent) or find_config(work_dir)
    if config is None:
        reason = 'a folder without a config (*.py)' if work_dir.is_dir() else 'no such folder'
        return (f'RUN expects the work_dir of a training, got {str(work_dir)!r}: {reason}. '
                f'Train first: python tools/train.py CONFIG --work-dir {work_dir}')
    if not predictions.is_file():
        train = '' if find_checkpoint(work_dir) else (
            f'python tools/train.py {config} --work-dir {work_dir}, then ')
        return (f'RUN {str(work_dir)!r} expects predictions in {str(predictions)!r}, got none. '
                f'Make them: {train}{test_command(work_dir, config)}')
    record = work_dir / RECORD_NAME
    return RunFiles(name, work_dir, config, predictions, _checkpoints(work_dir),
                    record if record.is_file() else None)


def find_config(folder: Path) -> Path | None:
    """The config that mmengine left in a folder: the newest, if several runs used it."""
    return max(folder.glob('*.py'), key=lambda path: path.stat().st_mtime, default=None)


def _checkpoints(work_dir: Path) -> dict[int, Path]:
    numbered = {int(match[1]): path for path in work_dir.glob('*.pth')
                if (match := re.fullmatch(r'(?:epoch|iter)_(\d+)', path.stem))}
    return dict(sorted(numbered.items()))


def read_runs(files: Sequence[RunFiles]) -> tuple[Validation, list[Run]]:
    """Read the data set that the runs were tested on, and their predictions.

    Args:
        files: of at least one run.

    Returns:
        The data set of all, and the runs, in the same order.

    Raises:
        FileNotFoundError: if an annotation file is missing.
        RuntimeError: if predictions cannot be read.
        ValueError: if the runs were tested on different data, with different caps, or not with a
            metric of this package; or if predictions are of other data than their config says.
    """
    validation, runs = None, []
    tested: dict[str, set[int]] = {}
    for run, cfg, metric in _tested(files):
        validation = validation or _read_validation(cfg, metric, run.config)
        tested[run.name], detections = _read_detections(run, metric)
        runs.append(Run(run.name, _match(metric, detections),
                        metric.evaluate_detections(detections, 'bbox')[''],
                        metric.evaluate_fixed(detections, 'bbox'),
                        _read_states(run, cfg, metric.class_table.num_classes), run.record,
                        _paths(run)))
    check_same_data({run.name: run.matches for run in runs})
    _check_same_images(tested, len(validation.annotations['images']))
    return validation, runs


def read_detections(files: Sequence[RunFiles]) -> tuple[
        Validation, dict[str, tuple[Detections, Matches]]]:
    """Read the data set that the runs were tested on, and all that they detected.

    Args:
        files: of at least one run.

    Returns:
        The data set of all, and per name of a run its detections, and those that are matched.

    Raises:
        FileNotFoundError: see :func:`read_runs`, as of the others.
        RuntimeError: if predictions cannot be read.
        ValueError: if the runs were tested on different data, or not with a metric of this package.
    """
    validation, found = None, {}
    for run, cfg, metric in _tested(files):
        validation = validation or _read_validation(cfg, metric, run.config)
        _, detections = _read_detections(run, metric)
        found[run.name] = detections, _match(metric, detections)
    check_same_data({name: matches for name, (_, matches) in found.items()})
    return validation, found


def _tested(files: Sequence[RunFiles]) -> Iterator[tuple[RunFiles, Config, GroupedAPMetric]]:
    """Runs with the configs and metrics that they were tested with."""
    metrics: dict[str, GroupedAPMetric] = {}  # runs that are compared share the annotations
    for run in files:
        cfg = _load_config(run.config)
        evaluator = box_evaluator(cfg)
        if repr(evaluator) not in metrics:
            metrics[repr(evaluator)] = METRICS.build(evaluator)
        yield run, cfg, metrics[repr(evaluator)]


def _paths(run: RunFiles) -> Paths:
    checkpoint = find_checkpoint(run.work_dir)
    return Paths(*(shlex.quote(str(path)) for path in (
        run.config, checkpoint or Paths.checkpoint, run.work_dir)))


def _check_same_images(tested: dict[str, set[int]], num_images: int) -> None:
    """Images that one run has not seen would count as missed, and against it alone."""
    (first, images), *others = tested.items()
    for name, other in others:
        if other != images:
            raise ValueError(
                f'Runs {first!r} and {name!r} cannot be compared: they were tested on different '
                f'images ({len(images)} and {len(other)}, {len(images & other)} of them the same). '
                'Test both on all.')
    if len(images) < num_images:
        print_log(f'Predictions are of {len(images)} of {num_images} images; objects in the others '
                  'count as missed.', logger='current', level=logging.WARNING)


def read_training_images(run: RunFiles) -> Images:
    """Read the data set that a run was trained on; of several that are wrapped, the first.

    Raises:
        FileNotFoundError: if the annotation file is missing.
        ValueError: if it is not of its format, or a rule refuses it.
    """
    dataset = _build_unloaded(_load_config(run.config), 'train', run.config)
    return _images(dataset, read_annotations(dataset.ann_file, dataset.backend_args))


def read_images(ann_file: str, img_dir: str) -> Images:
    """Read a data set without a config.

    Args:
        ann_file: annotations of LVIS v1, if images have no 'file_name', of LVIS v0.5, or in COCO
            format, if a category has no 'frequency'.
        img_dir: folder that the names of images start from.

    Raises:
        FileNotFoundError: if the annotation file is missing.
        ValueError: if it is not of its format, or a rule refuses it.
    """
    data = read_annotations(ann_file)
    check_form(data, ann_file, Use('COCO'))
    kind = CocoLTDataset
    if all('frequency' in category for category in data['categories']):
        named = all('file_name' in image for image in data['images'])
        kind = LongTailLVISV05Dataset if named else LongTailLVISV1Dataset
    return _images(kind(ann_file=ann_file, data_prefix=dict(img=img_dir), lazy_init=True,
                        pipeline=[]), data)


def _images(dataset: LongTailMixin, data: dict) -> Images:
    # Whatever it is used for: a file that cannot be trained on can be looked at.
    check_annotations(data, dataset.ann_file, replace(dataset.use(), purpose=None))
    return Images(data, dataset.ann_file, dataset.tabulate(data), dataset.image_path)


def read_pyramid(run: RunFiles) -> Pyramid:
    """Size of the images and levels of the RoI extractor of a run's detector."""
    cfg = _load_config(run.config)
    transforms = [transform for dataset in unwrapped_datasets(cfg.train_dataloader.dataset)
                  for transform in dataset.get('pipeline', [])]
    scales = [scale for transform in transforms for scale in _scales(transform)]
    extractor = cfg.model.roi_head.bbox_roi_extractor
    extractor = extractor[0] if isinstance(extractor, list) else extractor
    return Pyramid(
        max(scales, key=min, default=None), tuple(extractor.featmap_strides),
        extractor.get('finest_scale', Pyramid.finest_scale))


def _scales(transform: ConfigDict) -> list[tuple[int, int]]:
    """The sizes that a transform may resize images to, if it does."""
    found = transform.get('scale') or transform.get('scales') or []
    if not getattr(resolve_type(transform, TRANSFORMS), '__name__', '').endswith('Resize'):
        return []
    return [tuple(found)] if found and isinstance(found[0], int) else [tuple(s) for s in found]


def _read_states(run: RunFiles, cfg: Config, num_classes: int) -> dict[int, ClassifierState]:
    """States of checkpoints: of the last, and of all of a run with an indicator."""
    states: dict[int, ClassifierState] = {}
    if not run.checkpoints:
        return states
    try:
        model = MODELS.build(cfg.model)
    except Exception as error:
        raise ValueError(f'The model of {run.config} cannot be built, so nothing can be said of '
                         f'its checkpoints: {error}') from error
    for number in reversed(run.checkpoints):
        _load_state(model, run.checkpoints[number], run.config)
        states[number] = ClassifierState.of_model(model, num_classes)
        if not states[number].indicators:
            break
    return states


def _load_state(model: nn.Module, checkpoint: Path, config: Path) -> None:
    """Load a checkpoint; only what the report shows has to be there."""
    try:
        missing = model.load_state_dict(load_weights(checkpoint)['state_dict'],
                                        strict=False).missing_keys
    except RuntimeError as error:
        raise ValueError(f'{checkpoint} does not fit the model of {config}: {error}') from None
    told = [*indicators(model), *feature_statistics(model)]
    shown = tuple(f'{name}.' for name, module in model.named_modules() if module in told)
    lost = [key for key in missing if key.startswith(shown) or key.endswith('fc_cls.weight')]
    if lost:
        raise ValueError(f'{checkpoint} lacks {lost[0]} of the model of {config}. It is one of '
                         'another config: keep runs of different configs in different folders.')


def _load_config(path: Path) -> Config:
    cfg = Config.fromfile(path)
    init_default_scope(cfg.get('default_scope') or 'mmdet')
    return cfg


def _build_unloaded(cfg: Config, split: str, path: Path) -> LongTailMixin:
    dataloader = cfg.get(f'{split}_dataloader')
    config = next(unwrapped_datasets(dataloader.dataset), None) if dataloader else None
    if config is None or not is_type(config, DATASETS, LongTailMixin):
        raise ValueError(
            f'{split}_dataloader.dataset.type expects a LongTailLVISV1Dataset, '
            f'LongTailLVISV05Dataset or CocoLTDataset, got {config.type if config else None!r} '
            f'in {path}. Train and test with one of these.')
    return DATASETS.build(dict(config, lazy_init=True, pipeline=[]))


def _read_validation(cfg: Config, metric: GroupedAPMetric, path: Path) -> Validation:
    dataset = _build_unloaded(cfg, 'test', path)
    return Validation(metric.annotations, dataset.ann_file, metric.class_table,
                      dataset.image_path, metric.benchmark, metric.max_dets)


def _match(metric: GroupedAPMetric, detections: Detections) -> Matches:
    if isinstance(metric, CocoLTMetric):
        return match_coco_lt(metric.annotations, detections, metric.class_table.group_keys(),
                             [group.key for group in metric.class_table.groups], metric.max_dets)
    return match_lvis(metric.annotations, detections, metric.max_dets)


def _read_detections(run: RunFiles, metric: GroupedAPMetric) -> tuple[set[int], Detections]:
    """The images that a run has seen, and the boxes in them; no code of the file is executed."""
    samples = load_predictions(run.predictions)
    try:
        detections = metric.detections(samples)
        image_ids = {sample['img_id'] for sample in samples}
        if len(image_ids) < len(samples):
            raise ValueError('They have an image more than once.')
        return image_ids, detections
    except ValueError as error:
        raise ValueError(
            f'Predictions {run.predictions} are not of the data set of {run.config}: {error} '
            f'Test again: {test_command(run.work_dir, run.config)}') from error


def test_command(work_dir: Path, config: Path) -> str:
    """The command that makes the predictions of a run."""
    folder = work_dir / TEST_FOLDER
    return (f'python tools/test.py {config} {find_checkpoint(work_dir) or "CHECKPOINT"} '
            f'--work-dir {folder} --out {folder / PREDICTIONS}')
