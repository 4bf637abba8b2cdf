"""Where a run writes, and which checkpoint lies there."""

import re
import tempfile
from pathlib import Path

from bacl.compat.checkpoints import load_weights
from mmengine.config import Config

POINTER = 'last_checkpoint'  # file in which mmengine names the newest checkpoint


def resolve_work_dir(cfg: Config, config_path: str, work_dir: str | None = None) -> None:
    """Set ``cfg.work_dir``: the argument, else the config's own, else ``work_dirs/<config name>``.

    The folder is created, and tried, because a run should not find out after an hour that it
    cannot save.

    Args:
        cfg: config of the run, changed in place.
        config_path: path of its file.
        work_dir: the user's choice, if any.

    Raises:
        RuntimeError: if the folder cannot be made or written to.
    """
    default = Path('work_dirs', Path(config_path).stem)
    cfg.work_dir = str(work_dir or cfg.get('work_dir') or default)
    try:
        Path(cfg.work_dir).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cfg.work_dir):
            pass
    except OSError as error:
        raise RuntimeError(
            f'--work-dir expects a folder that can be written to, got {cfg.work_dir!r} '
            f'({error.strerror}). Choose another one with --work-dir.') from error


def require_file(path: str, argument: str) -> None:
    """Refuse a path that does not lead to a file; addresses such as ``https://...`` pass.

    A ``~`` is a home folder, as it is for mmengine's loader.

    Args:
        path: what the user gave.
        argument: its name, for the message.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    if '://' not in path and not Path(path).expanduser().is_file():
        raise FileNotFoundError(f'{argument} expects an existing file, got {path!r}.')


def find_checkpoint(work_dir: str | Path) -> Path | None:
    """Return the newest checkpoint of a run, or None.

    That is the one named in MMEngine's ``last_checkpoint``, looked up beside it first because the
    folder may be a copy of another run's; else ``epoch_N.pth`` or ``iter_N.pth`` with the highest
    N.

    Args:
        work_dir: folder of the run; need not exist.
    """
    work_dir = Path(work_dir)
    pointer = work_dir / POINTER
    if pointer.is_file():
        named = Path(pointer.read_text().strip())
        for candidate in (work_dir / named.name, named):
            if candidate.is_file():
                return candidate
    numbered = {
        int(match[1]): path
        for path in work_dir.glob('*.pth')
        if (match := re.fullmatch(r'(?:epoch|iter)_(\d+)', path.stem))
    }
    return numbered[max(numbered)] if numbered else None


def prepare_resume(cfg: Config, resume: str | None) -> None:
    """Set what ``cfg`` resumes from, if it is to resume at all.

    MMEngine alone would start anew without a word when there is nothing to resume, and end in a
    KeyError where a file holds weights alone.

    Args:
        cfg: config of the run with its ``work_dir``, changed in place.
        resume: a checkpoint, ``'auto'`` for the newest one in the work_dir, or None to follow
            ``cfg.resume`` and ``cfg.load_from``.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        ValueError: if it does not say how far the training was.
    """
    if resume is None and not cfg.get('resume'):
        return
    asked = 'resume=True in the config' if resume is None else '--resume'
    cfg.resume = True
    if resume is None:
        resume = cfg.get('load_from') or 'auto'
    if resume == 'auto':
        found = find_checkpoint(cfg.work_dir)
        if found is None:
            raise FileNotFoundError(
                f'{asked} expects a checkpoint in {cfg.work_dir!r}, got a folder without one. '
                'Leave it out to start anew, or name the checkpoint with --resume PATH.')
        resume = str(found)
    require_file(resume, asked)
    if '://' not in resume:  # read, and downloaded, when the run starts
        _require_progress(resume, asked)
    cfg.load_from = resume


def _require_progress(path: str, asked: str) -> None:
    meta = load_weights(path, map_location='meta').get('meta') or {}
    missing = [key for key in ('epoch', 'iter') if key not in meta]
    if missing:
        raise ValueError(
            f'{asked} expects a checkpoint of a training, got {path} without {missing} in its '
            'meta: it holds weights, but not how far they were trained. Start a new training from '
            'them: leave it out, --cfg-options load_from=FILE.')
