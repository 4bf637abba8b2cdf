"""Find the checkpoint of stage 1 for a run of stage 2."""

import logging
import os
import re
from pathlib import Path

from bacl.compat.checkpoints import load_weights
from bacl.engine.checking.load_report import shortened
from bacl.engine.running.config_types import resolve_type
from bacl.engine.running.official_checkpoint import refuse_official_checkpoint
from bacl.engine.running.work_dir import find_checkpoint, require_file
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.logging import print_log

# What a dumped config of stage 2 has, and one of stage 1 has not.
STAGE2_CONFIG = re.compile(
    r"""DecoupledTwoStageDetector|FeatureBankDetector|^stage1_config = ['"]""", re.MULTILINE)


def prepare_stage1(cfg: Config, checkpoint: str | None = None) -> None:
    """Set ``cfg.load_from`` of a stage-2 run to the checkpoint of its stage 1.

    A stage-2 config names the config of its stage 1 in the top-level variable ``stage1_config``: a
    path from its own folder, as in ``_base_``. The work_dirs of both stages are siblings: stage 1
    is looked for in ``<parent of cfg.work_dir>/<name of stage1_config>``, which with the default
    work_dirs is ``work_dirs/<name of stage1_config>``. What is found there has to be trained to its
    end; a checkpoint or folder that the user names may be unfinished. The file is read here once,
    before a dataset is: it has to be whole, and must not have been through stage 2, whose
    indicators and feature statistics would go on from there.

    A run that resumes needs no stage 1, a ``load_from`` that is already set is kept, and a config
    of a single stage is left alone.

    A stage-2 config has ``stage1_config`` or a model that needs a pretrained extractor, such as
    ``DecoupledTwoStageDetector``.

    Args:
        cfg: config of the run with its ``work_dir``, changed in place.
        checkpoint: a checkpoint file, the work_dir of a stage-1 run, or ``'auto'`` (also None)
            for the rule above.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        RuntimeError: if stage 1 is found unfinished, or the file is truncated or asks for code.
        ValueError: if a checkpoint has to be looked for and the config has no ``stage1_config``, if
            one is given for a config of a single stage, or if it is one of stage 2 or of the
            official repository.
    """
    if cfg.get('resume'):
        if checkpoint is not None:
            print_log(f'--stage1-checkpoint {checkpoint} is ignored: the run resumes from '
                      f'{cfg.load_from}.', logger='current', level=logging.WARNING)
        return
    if not _is_stage2(cfg):
        if checkpoint is not None:
            raise ValueError(
                '--stage1-checkpoint expects a stage-2 config (with `stage1_config`, or with a '
                f'model such as DecoupledTwoStageDetector), got {cfg.filename}. Use --cfg-options '
                'load_from=FILE to start it from other weights.')
        return
    if checkpoint is None and cfg.get('load_from'):
        require_file(cfg.load_from, 'load_from')
    elif checkpoint not in (None, 'auto') and not Path(checkpoint).expanduser().is_dir():
        require_file(checkpoint, '--stage1-checkpoint')
        cfg.load_from = checkpoint
        _check_weights(checkpoint)
    else:
        cfg.load_from = str(_find_stage1(cfg, checkpoint))
        _check_weights(cfg.load_from)
    print_log(f'Stage 2 starts from the stage-1 checkpoint {cfg.load_from}', logger='current')


def _is_stage2(cfg: Config) -> bool:
    model = resolve_type(cfg.get('model') or {}, MODELS, cfg.get('default_scope'))
    return bool(cfg.get('stage1_config')) or getattr(model, 'needs_pretrained_extractor', False)


def _check_weights(path: str) -> None:
    if '://' in path:  # read, and downloaded, when the run starts
        return
    checkpoint = load_weights(path, map_location='meta')
    refuse_official_checkpoint(checkpoint, f'--stage1-checkpoint {path}')
    weights = checkpoint.get('state_dict', checkpoint)
    collected = [name for name in weights
                 if '.loss_cls.indicator.' in name or '.augmenters.' in name]
    # A stage 2 may collect nothing. The config is searched, never executed.
    text = str((checkpoint.get('meta') or {}).get('cfg', ''))
    if collected or STAGE2_CONFIG.search(text):
        what = f' (it has {shortened(collected, 2)})' if collected else ''
        raise ValueError(
            f'--stage1-checkpoint expects weights of stage 1, got {path}, which has been through '
            f'stage 2 already{what}. Pass the checkpoint of stage 1, or go on with that run by '
            '--resume. To start from these weights all the same: --cfg-options load_from=FILE.')


def _find_stage1(cfg: Config, folder: str | None) -> Path:
    if not cfg.get('stage1_config'):
        raise ValueError(
            '--stage1-checkpoint expects the file of stage 1 if the config has no `stage1_config`, '
            f'got {"none" if folder is None else repr(folder)}. '
            'Pass --stage1-checkpoint FILE, or set load_from in the config.')
    # Not with_suffix: a name such as lvis-v0.5 has a dot of its own.
    stem = cfg.stage1_config.removesuffix('.py')
    config = Path(os.path.normpath(Path(cfg.filename or '').parent / f'{stem}.py'))
    is_default = folder in (None, 'auto')
    work_dir = Path(cfg.work_dir).parent / Path(stem).name if is_default \
        else Path(folder).expanduser()
    train_command = f'python tools/train.py {config} --work-dir {work_dir}'
    checkpoint = find_checkpoint(work_dir)
    if checkpoint is None:
        raise FileNotFoundError(
            f'--stage1-checkpoint expects the checkpoint of stage 1 in {str(work_dir)!r}, '
            f'got none there. Train stage 1: {train_command} '
            '(or name its checkpoint with --stage1-checkpoint PATH).')
    if is_default:
        # The copy that MMEngine leaves in the work_dir has the user's --cfg-options.
        _check_finished(checkpoint, [work_dir / config.name, config], train_command)
    return checkpoint


def _check_finished(checkpoint: Path, configs: list[Path], train_command: str) -> None:
    """Refuse ``epoch_N`` or ``iter_N`` with N below the maximum of the first config that exists."""
    match = re.fullmatch(r'(epoch|iter)_(\d+)', checkpoint.stem)
    config = next(filter(Path.is_file, configs), None)
    if match is None or config is None:
        return
    unit, number = match.groups()
    train_cfg = Config.fromfile(config, import_custom_modules=False).get('train_cfg') or {}
    maximum = train_cfg.get(f'max_{unit}s')
    if maximum is not None and int(number) < maximum:
        raise RuntimeError(
            f'--stage1-checkpoint expects stage 1 to be finished, got {checkpoint} of {maximum} '
            f'{unit}s. Go on with it: {train_command} --resume '
            f'(or take it as it is: --stage1-checkpoint {checkpoint}).')
