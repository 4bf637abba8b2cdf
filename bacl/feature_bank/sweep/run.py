"""One run of a sweep: a stage 2 over a bank, trained and tested in this process."""
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bacl.compat.atomic_files import write_atomically
from bacl.compat.config_text import lay_out_configs_once
from bacl.engine.hooks import ClassFigureHook
from bacl.engine.running.command_line import build_runner
from bacl.engine.running.config_types import is_type
from bacl.engine.running.launch import prepare_launch
from bacl.engine.running.seed_table import CPU, RESULT, Result
from bacl.engine.running.settings import Settings, apply_settings
from bacl.engine.running.stage1 import prepare_stage1
from bacl.engine.running.work_dir import require_file
from mmdet.registry import HOOKS, MODELS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from ..conversion import to_feature_bank


@dataclass(frozen=True)
class Run:
    """What decides a result, together with the contents of bank and checkpoint.

    Attributes:
        config: path of the file.
        settings: that it is changed by.
        seed: of all random numbers.
        bank: folder of the feature bank.
        checkpoint: of stage 1.
    """

    config: str
    settings: Settings
    seed: int
    bank: str
    checkpoint: str


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


def check_run(run: Run, folder: Path) -> None:
    """Build what a run trains, and its optimizer, to see that nothing is wrong with its settings.

    Args:
        run: to check.
        folder: that it will write to.
    """
    cfg = _prepare(run, folder)
    build_optim_wrapper(MODELS.build(cfg.model), cfg.optim_wrapper)


def train_and_test(run: Run, folder: Path) -> None:
    """Train and test, and save the result; its file is written last.

    The checkpoint is that of the end of training, since a run that is interrupted starts again. No
    pictures are drawn.

    Args:
        run: to do.
        folder: for all that is written.
    """
    started = time.process_time()
    lay_out_configs_once()
    cfg = _prepare(run, folder)
    hooks = cfg.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items()
                 if hook and is_type(hook, HOOKS, ClassFigureHook, cfg.get('default_scope'))]:
        del hooks[name]
    if hooks.get('checkpoint'):
        hooks.checkpoint.interval = -1  # nothing but the last
    runner = build_runner(cfg)
    runner.train()
    metrics = {name: None if math.isnan(value) else value
               for name, value in runner.test().items()}
    seconds = time.process_time() - started
    text = json.dumps({**asdict(run), 'metrics': metrics, CPU: seconds}, indent=2, default=repr)
    write_atomically(folder / RESULT, f'{text}\n'.encode())


def read_result(folder: Path) -> Result | None:
    """The boxes' metrics and the CPU time of a run; None if it was not finished.

    Args:
        folder: of the run.
    """
    path = folder / RESULT
    if not path.is_file():
        return None
    saved = json.loads(path.read_text())
    metrics = {name.partition('/bbox_')[2]: value for name, value in saved['metrics'].items()}
    return {**metrics, CPU: saved[CPU]}


def _prepare(run: Run, folder: Path) -> Config:
    cfg = load_config(run.config, run.settings)
    cfg.randomness = dict(cfg.get('randomness') or {}, seed=run.seed)
    cfg.work_dir = str(folder)
    cfg.resume, cfg.load_from = False, run.checkpoint
    to_feature_bank(cfg, run.bank)
    prepare_stage1(cfg, run.checkpoint)
    prepare_launch(cfg, 'none')
    return cfg
