"""From a config and a checkpoint to a curve, and to a config with the calibrator."""
import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bacl.annotations import read_annotations
from bacl.annotations.class_table import ClassTable
from bacl.annotations.splitting import part_of
from bacl.compat.atomic_files import write_atomically
from bacl.models.calibrators import Calibrator
from bacl.models.roi_heads.score_nms import ScoreNMSMixin, build_calibrator
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.registry import DATASETS, METRICS, MODELS
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from ..checking.config_check import arguments
from ..running.command_line import build_runner
from ..running.config_types import resolve_type
from ..running.dataset_configs import evaluated_datasets, unwrapped_datasets
from ..running.evaluators import box_evaluator
from ..running.runner_state import unwrapped_model
from .candidates import CandidateHook, Candidates, stored_differences
from .held_out import hold_out
from .sweep import (
    Curve,
    check_parameter,
    check_selection,
    no_detections,
    parse_sweep,
    sweep,
)

# Heads of mmdet without a place for a calibrator, and those of this package that add only that.
OPENED = {StandardRoIHead: 'LongTailRoIHead', CascadeRoIHead: 'LongTailCascadeRoIHead'}


@dataclass(frozen=True)
class HeldOut:
    """Images on which a strength is chosen.

    Attributes:
        ann_file: their annotations.
        image_ids: of them.
        train_file: annotations of all training images, for the counts of classes.
        dataset: config of the dataset of the held-out images, as the detector is tested on it.
    """

    ann_file: Path
    image_ids: list[int]
    train_file: str
    dataset: dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """A calibrator, chosen.

    Attributes:
        settings: its config, with the value that is best.
        curve: AP of the held-out images.
        classes: with the groups of the evaluation.
    """

    settings: dict[str, Any]
    curve: Curve
    classes: ClassTable


def open_roi_head(cfg: Config) -> dict[str, Any]:
    """Give the RoI head of a config a place for a calibrator, and take out what is there.

    Args:
        cfg: of a two-stage detector, changed in place.

    Returns:
        The change of the ``roi_head``, empty if it is one of this package.

    Raises:
        ValueError: if it is another that a calibrator cannot be put into.
    """
    roi_head = cfg.model.get('roi_head') or {}
    kind = resolve_type(roi_head, MODELS, cfg.get('default_scope'))
    if kind in OPENED:
        change = dict(type=OPENED[kind])
    elif isinstance(kind, type) and issubclass(kind, ScoreNMSMixin):
        change = {}
    else:
        raise ValueError(f'A calibrator needs a LongTailRoIHead or LongTailCascadeRoIHead, got the '
                         f'roi_head {roi_head.get("type")!r} in {cfg.filename}.')
    roi_head.update(change)
    cfg.model.test_cfg.rcnn.pop('calibrator', None)
    if roi_head.get('mask_head'):
        roi_head.mask_head = None  # the strength is chosen by boxes
    return change


def hold_images_out(cfg: Config, folder: Path, share: float, seed: int, min_images: int,
                    ann_file: str | None = None) -> HeldOut:
    """Choose the images and write their annotations.

    Args:
        cfg: of the run.
        folder: of the new annotation file, ``held_out.json``.
        share: of the training images; see :func:`.held_out.hold_out`.
        seed: of the choice.
        min_images: of each class.
        ann_file: of images beside the training images, all of which are taken instead.

    Raises:
        ValueError: if ``ann_file`` has images that the config tests or validates on, or other
            categories, or if the config trains on several datasets.
    """
    train = list(unwrapped_datasets(cfg.train_dataloader.dataset))
    if len(train) != 1:
        raise ValueError(f'Holding out training images expects one training dataset, got '
                         f'{len(train)} in {cfg.filename}. Pass --holdout-ann FILE.')
    dataset = {key: value for key, value in train[0].items()
               if key not in ('filter_cfg', 'indices', 'serialize_data')}
    train_set = DATASETS.build(dict(train[0], lazy_init=True))
    data = read_annotations(train_set.ann_file, train_set.backend_args)
    if ann_file is None:
        image_ids = hold_out(data, share, seed, min_images)
        print_log(f'{len(image_ids)} of {len(data["images"])} training images are held out. The '
                  'detector was trained on them, and knows the rare classes there better than on '
                  'others: the strength may come out too large. --holdout-ann FILE takes images '
                  'that it has not seen.', logger='current', level=logging.WARNING)
    else:
        categories = data['categories']
        data = read_annotations(ann_file)
        names = [[(c['id'], c.get('name')) for c in found]
                 for found in (categories, data['categories'])]
        if names[0] != names[1]:
            raise ValueError(f'--holdout-ann expects the {len(names[0])} categories of '
                             f'{train_set.ann_file} in their order, got others in {ann_file}.')
        image_ids = [image['id'] for image in data['images']]
        refuse_evaluated_images(cfg, dict(dataset, ann_file=ann_file, test_mode=True))
    path = (folder / 'held_out.json').resolve()
    write_atomically(path, json.dumps(part_of(data, image_ids)).encode())
    tested = evaluated_datasets(cfg, 'tools/calibrate.py')[0]
    dataset.update(ann_file=str(path), pipeline=tested.pipeline, test_mode=True)
    return HeldOut(path, image_ids, train_set.ann_file, dataset)


def refuse_evaluated_images(cfg: Config, dataset: dict[str, Any]) -> None:
    """Refuse images that a config tests or validates on; warn of those that it trains on.

    Args:
        cfg: of the run.
        dataset: config of the dataset of the images.

    Raises:
        ValueError: saying how many there are.
    """
    files, ann_file = image_files(dataset), dataset['ann_file']
    for key in ('val_dataloader', 'test_dataloader', 'train_dataloader'):
        parts = unwrapped_datasets(cfg[key].dataset) if cfg.get(key) else ()
        common = len(files & set().union(*map(image_files, parts)))
        if common and key == 'train_dataloader':
            print_log(f'{common} of {len(files)} images of --holdout-ann {ann_file} are training '
                      'images: the strength may come out too large.', logger='current',
                      level=logging.WARNING)
        elif common:
            raise ValueError('--holdout-ann expects images that are not evaluated, got '
                             f'{ann_file}, of whose {len(files)} images {common} are those of the '
                             f'{key}. What is chosen on them would be read off the answers.')


def image_files(dataset: dict[str, Any]) -> set[str]:
    """Resolved paths of the images of a dataset without wrappers."""
    built = DATASETS.build(dict(dataset, pipeline=[]))
    return {os.path.realpath(built.get_data_info(index)['img_path'])
            for index in range(len(built))}


def made_of(cfg: Config, checkpoint: str, held_out: HeldOut, max_rois: int) -> dict[str, Any]:
    """Digests of all that candidates depend on; JSON."""
    file = Path(checkpoint).expanduser()
    about = [str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns] \
        if file.is_file() else [checkpoint]
    text = json.dumps([cfg.model.to_dict(), held_out.dataset], sort_keys=True, default=str)
    return dict(checkpoint=about, config=hashlib.sha256(text.encode()).hexdigest(),
                images=hashlib.sha256(json.dumps(held_out.image_ids).encode()).hexdigest(),
                max_rois=max_rois)


def choose(cfg: Config, checkpoint: str, calibrator_name: str, sweep_text: str | None,
           held_out: HeldOut, max_rois: int, key: str = 'AP') -> Choice:
    """Run the detector once over held-out images, then try each strength on what it found.

    Args:
        cfg: of the run with its work_dir, after :func:`open_roi_head`; changed in place.
        checkpoint: of the detector.
        calibrator_name: type of a :class:`~bacl.models.calibrators.Calibrator`.
        sweep_text: see :func:`.sweep.parse_sweep`; None is the calibrator's own.
        held_out: images.
        max_rois: candidates kept of each image.
        key: what the metric says of the best strength, such as AP or APr.

    Raises:
        ValueError: if there is no such calibrator or parameter, it is for another activation, or
            a value, ``max_rois`` or ``key`` is none; before the detector runs.
    """
    kind = resolve_type(dict(type=calibrator_name), MODELS, cfg.get('default_scope'))
    if not (isinstance(kind, type) and issubclass(kind, Calibrator)):
        raise ValueError('--calibrator expects the type of a Calibrator, such as NorCal or '
                         f'LogitAdjustment, got {calibrator_name!r}.')
    sweep_text = sweep_text or kind.default_sweep
    parameter, values = parse_sweep(sweep_text) if sweep_text else (None, [])
    if max_rois < 1:
        raise ValueError(f'--max-rois expects a number >= 1, got {max_rois}.')
    settings: dict[str, Any] = dict(type=calibrator_name)
    if parameter is not None:
        check_parameter(kind, parameter)
        settings[parameter] = values[0]
    if 'ann_file' in arguments(kind):
        settings['ann_file'] = str(held_out.train_file)
    cfg.test_dataloader.dataset = ConfigDict(held_out.dataset)
    evaluator = dict(box_evaluator(cfg), ann_file=str(held_out.ann_file))
    cfg.test_evaluator = ConfigDict(evaluator)
    metric = METRICS.build(evaluator)
    check_selection(key, [metric.evaluate_detections(no_detections(), 'bbox')[''].summary()])
    cfg.load_from, cfg.resume = checkpoint, False
    runner = build_runner(cfg)
    model = unwrapped_model(runner)
    calibrator = build_calibrator(dict(settings), model.roi_head).eval()
    for value in values:  # refuses one that is out of range
        setattr(calibrator, parameter, value)

    folder = Path(cfg.work_dir, 'candidates')
    needed = made_of(cfg, checkpoint, held_out, max_rois)
    differences = stored_differences(folder, needed)
    if differences:
        print_log(f'The detector runs once over {len(held_out.image_ids)} held-out images '
                  f'({", ".join(differences)} in {folder}).', logger='current')
        runner.register_hook(CandidateHook(folder, len(held_out.image_ids), max_rois, needed))
        runner.test()
    else:
        print_log(f'Candidates of {len(held_out.image_ids)} images are taken from {folder}.',
                  logger='current')
        runner.load_or_resume()
    model.cpu().eval()
    candidates = Candidates(folder)
    if hasattr(calibrator, 'observe'):
        for _, image in candidates:
            calibrator.observe(image.logits)
        settings.update(calibrator.observed())
    curve = sweep(calibrator, parameter, values, candidates, model.roi_head, metric)
    if parameter is not None:
        settings[parameter] = curve.values[curve.best(key)]
    return Choice(settings, curve, metric.class_table)


def write_calibrated_config(path: Path, cfg: Config, choice: Choice, change: dict[str, Any],
                            cfg_options: dict[str, Any], comment: str) -> None:
    """Write a config that inherits from the config of a run and adds the calibrator.

    Args:
        path: of the new file.
        cfg: the config as its file says it.
        choice: of the calibrator.
        change: of the RoI head; see :func:`open_roi_head`.
        cfg_options: what the command line added to the config.
        comment: first line of the file.
    """
    base = os.path.relpath(Path(cfg.filename).resolve(), path.resolve().parent)
    added = Config(dict(model=dict(test_cfg=dict(rcnn=dict(calibrator={})))))
    added.merge_from_dict(cfg_options)
    if change:
        added.merge_from_dict({'model.roi_head': change})
    calibrator = dict(choice.settings)
    if cfg.model.test_cfg.rcnn.get('calibrator'):
        calibrator['_delete_'] = True
    added.model.test_cfg.rcnn.calibrator = calibrator
    write_atomically(path, f'# {comment}\n_base_ = [{base!r}]\n{added.pretty_text}'.encode())
