"""Find the representation stage's checkpoint for a classifier-stage run."""

from pathlib import Path

from bacl.engine.work_dir import find_checkpoint, require_file
from mmengine.config import Config
from mmengine.logging import print_log


def prepare_stage1(cfg: Config, checkpoint: str | None = None) -> None:
    """Set ``cfg.load_from`` of a stage-2 run to the checkpoint of its stage 1.

    A stage-2 config names the config of its first stage, which lies beside it, in the top-level
    variable ``stage1_config``; a config without it is left alone. The work_dirs of both stages are
    siblings: stage 1 is looked for in ``<parent of cfg.work_dir>/<stage1_config>``, which with
    the default work_dirs is ``work_dirs/<stage1_config>``.

    A run that resumes needs no stage 1, and a ``load_from`` that is already set is kept.

    Args:
        cfg: config of the run with its ``work_dir``, changed in place.
        checkpoint: a checkpoint file, the work_dir of a stage-1 run, or ``'auto'`` (also None)
            for the rule above.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        ValueError: if ``checkpoint`` is given for a config without ``stage1_config``.
    """
    stage1_config = cfg.get('stage1_config')
    if stage1_config is None:
        if checkpoint is not None:
            raise ValueError(
                f'--stage1-checkpoint expects a config with `stage1_config`, got {checkpoint!r} '
                'for one without. Use --cfg-options load_from=... to start from other weights.')
        return
    if cfg.get('resume'):
        return
    # Not Path.stem: a name such as lvis-v0.5 has a dot of its own.
    name = Path(stage1_config).name.removesuffix('.py')
    if checkpoint is None and cfg.get('load_from'):
        require_file(cfg.load_from, 'load_from')
    elif checkpoint in (None, 'auto'):
        cfg.load_from = _newest(Path(cfg.work_dir).parent / name, cfg, name)
    elif Path(checkpoint).is_dir():
        cfg.load_from = _newest(Path(checkpoint), cfg, name)
    else:
        require_file(checkpoint, '--stage1-checkpoint')
        cfg.load_from = checkpoint
    print_log(f'Stage 2 starts from the stage-1 checkpoint {cfg.load_from}', logger='current')


def _newest(work_dir: Path, cfg: Config, name: str) -> str:
    checkpoint = find_checkpoint(work_dir)
    if checkpoint is None:
        config = Path(cfg.filename or '.').with_name(f'{name}.py')
        raise FileNotFoundError(
            f'--stage1-checkpoint expects the checkpoint of stage 1 in {str(work_dir)!r}, '
            f'got none there. Train stage 1: python tools/train.py {config} --work-dir {work_dir} '
            '(or name its checkpoint with --stage1-checkpoint PATH).')
    return str(checkpoint)
