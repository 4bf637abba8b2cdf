"""Runs of a sweep: a training, and tests of it, in this process."""
import json
import math
import shutil
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bacl.compat.atomic_files import write_atomically
from bacl.compat.config_text import lay_out_configs_once
from bacl.engine.hooks import ClassFigureHook
from bacl.engine.running.command_line import build_runner
from bacl.engine.running.config_types import is_type, resolve_type
from bacl.engine.running.evaluators import box_evaluator
from bacl.engine.running.launch import prepare_launch
from bacl.engine.running.seed_table import COST, CPU, MEMORY, RESULT, TRAINING, Result
from bacl.engine.running.settings import Settings, apply_settings
from bacl.engine.running.stage1 import prepare_stage1
from bacl.engine.running.work_dir import find_checkpoint, require_file
from mmdet.registry import HOOKS, MODELS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

try:
    import resource
except ImportError:  # Windows
    resource = None

from ..conversion import to_feature_bank

DETECTIONS = 'detections'
# What decides how a trained detector is tested, and nothing of its training.
_OF_TESTS = frozenset({'test_cfg', 'test_dataloader', 'test_evaluator', 'tta_model',
                       'tta_pipeline'})


@dataclass(frozen=True)
class Run:
    """What decides a result, together with the contents of bank and checkpoint.

    Attributes:
        config: path of the file.
        settings: that it is changed by.
        seed: of all random numbers.
        bank: folder of the feature bank; None trains online.
        checkpoint: of stage 1; None starts without one.
    """

    config: str
    settings: Settings
    seed: int
    bank: str | None
    checkpoint: str | None


def load_config(path: str, settings: Settings) -> Config:
    """A config with settings.

    Args:
        path: of the file.
        settings: that it is changed by.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a setting is wrong.
    """
    require_file(path, 'config')
    cfg = Config.fromfile(path)
    apply_settings(cfg, settings)
    return cfg


def training_contents(cfg: Config) -> dict:
    """What of a config decides the trained weights, that is all but how they are tested.

    A calibrator that takes class counts from the training, and leaves them in its checkpoint, is
    part of the training; so are the proposals of the test where the training has none of its own.

    Args:
        cfg: of a run.
    """
    kept = {key: value for key, value in cfg.to_dict().items() if key not in _OF_TESTS}
    model = dict(kept['model'])
    test_cfg = model.pop('test_cfg', None) or {}
    if 'rpn_proposal' not in (model.get('train_cfg') or {}):
        model['test_cfg.rpn'] = test_cfg.get('rpn')
    calibrator = dict(test_cfg.get('rcnn') or {}).get('calibrator') or {}
    kind = resolve_type(calibrator, MODELS, cfg.get('default_scope'))
    if hasattr(kind, 'set_class_counts') and not (
            calibrator.get('ann_file') or calibrator.get('counts')):
        model['calibrator'] = calibrator
    return dict(kept, model=model)


def check_run(run: Run, folder: Path) -> None:
    """Build what a run trains, and its optimizer, to see that nothing is wrong with its settings.

    Args:
        run: to check.
        folder: that it will write to.
    """
    cfg = _prepare(run, folder)
    build_optim_wrapper(MODELS.build(cfg.model), cfg.optim_wrapper)


def train_and_test(runs: Sequence[Run], folders: Sequence[Path], training: Path,
                   keeps_detections: bool = False) -> None:
    """Train once, unless that was done, then test as each of several runs says.

    The checkpoint is that of the end of training, since a training that is interrupted starts
    again. Files that say that something is finished are written last. No pictures are drawn.

    Args:
        runs: that differ in their tests only.
        folders: for what each test writes.
        training: folder for what the training writes.
        keeps_detections: whether a test leaves its detections, ``detections.bbox.json``, too.

    Raises:
        RuntimeError: if a test fails, once the others are done.
    """
    lay_out_configs_once()
    if not (training / TRAINING).is_file():
        shutil.rmtree(training, ignore_errors=True)  # remains of an interrupted one
        _train(runs[0], training)
    errors = []
    for run, folder in zip(runs, folders, strict=True):
        try:
            _test(run, folder, training, keeps_detections)
        except Exception as error:  # whatever a user's module raises
            traceback.print_exc()
            errors.append(f'{folder.name}: {type(error).__name__}: {error}')
    if errors:
        raise RuntimeError('; '.join(errors))


def _train(run: Run, folder: Path) -> None:
    started = time.process_time()
    cfg = _prepare(run, folder)
    hooks = cfg.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items()
                 if hook and is_type(hook, HOOKS, ClassFigureHook, cfg.get('default_scope'))]:
        del hooks[name]
    if hooks.get('checkpoint'):
        hooks.checkpoint.interval = -1  # nothing but the last
    build_runner(cfg).train()
    settings = {key: value for key, value in run.settings.items()
                if key.split('.')[0] not in _OF_TESTS and not key.startswith('model.test_cfg.')}
    _save(folder / TRAINING, {**asdict(run), 'settings': settings,
                              CPU: time.process_time() - started, MEMORY: _peak_mb()})


def _peak_mb() -> float | None:
    """The most memory that this process has held, in MB of 2^20 bytes; None on Windows."""
    if resource is None:
        return None
    unit = 1 if sys.platform == 'darwin' else 2**10  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _test(run: Run, folder: Path, training: Path, keeps_detections: bool) -> None:
    started = time.process_time()
    cfg = _prepare(run, folder, str(find_checkpoint(training)))
    if keeps_detections:
        cfg.test_evaluator = dict(box_evaluator(cfg), outfile_prefix=str(folder / DETECTIONS))
    metrics = {name: None if math.isnan(value) else value
               for name, value in build_runner(cfg).test().items()}
    trained = json.loads((training / TRAINING).read_text())
    _save(folder / RESULT, {**asdict(run), 'metrics': metrics, MEMORY: trained.get(MEMORY),
                            CPU: trained[CPU] + time.process_time() - started})


def _save(path: Path, contents: dict) -> None:
    write_atomically(path, f'{json.dumps(contents, indent=2, default=repr)}\n'.encode())


def read_result(folder: Path) -> Result | None:
    """The boxes' metrics and the cost of a run; None if it was not finished.

    Its CPU time is that of the training and the test, its memory the peak of the training.

    Args:
        folder: of the run.
    """
    path = folder / RESULT
    if not path.is_file():
        return None
    saved = json.loads(path.read_text())
    metrics = {name.partition('/bbox_')[2]: value for name, value in saved['metrics'].items()}
    return {**metrics, **{name: saved[name] for name in COST if name in saved}}


def detections_file(folder: Path) -> Path:
    """Detections of a run that kept them, in COCO's result format.

    Args:
        folder: of the run.
    """
    return folder / f'{DETECTIONS}.bbox.json'


def _prepare(run: Run, folder: Path, trained: str | None = None) -> Config:
    cfg = load_config(run.config, run.settings)
    cfg.randomness = dict(cfg.get('randomness') or {}, seed=run.seed)
    cfg.work_dir = str(folder)
    cfg.resume, cfg.load_from = False, trained or run.checkpoint
    init_default_scope(cfg.get('default_scope') or 'mmdet')
    if run.bank is not None:
        to_feature_bank(cfg, run.bank, training=trained is None)
    if trained is None and run.checkpoint is not None:
        prepare_stage1(cfg, run.checkpoint)
    prepare_launch(cfg, 'none')
    return cfg
