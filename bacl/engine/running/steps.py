"""Commands that are run once: their inputs are remembered, and interrupted trainings resumed.

For programs that chain the public tools, each a process of its own, and have to go on where an
earlier run of them stopped. They run in the root of a checkout, which has the tools.
"""
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bacl.compat.atomic_files import write_atomically
from mmengine.config import Config

METRICS = ('AP', 'APr', 'APc', 'APf')
PREDICTIONS = 'predictions.pkl'  # beside metrics.json
TAIL = 25  # lines of the log that a failure shows

PROGRESS = re.compile(
    r'Epoch\((?P<mode>train|val|test)\)\s+(?:\[(?P<epoch>\d+)\])?\[\s*(?P<iter>\d+)/(?P<iters>\d+)\]'
    r'.*?\beta: (?P<eta>(?:\d+ days?, )?[\d:]+)(?:.*?\bloss: (?P<loss>[\d.einfa+-]+))?')

# Receives one line of text for the user.
Report = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """One process.

    Attributes:
        name: unique, also the name of the log.
        command: program and arguments.
        digest: of everything that decides the result.
        output: file or folder that exists once the step has finished.
        label: what the lines begin with that it shows; the name by default.
        shorten: what to show of a line that the process prints; None hides it.
        env: environment variables besides those of the current process.
    """

    name: str
    command: list[str]
    digest: str
    output: Path
    label: str = ''
    shorten: Callable[[str], str | None] = lambda line: None
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, 'label', self.label or self.name)


class State:
    """Digests of the steps that were started and finished, kept in a JSON file.

    Args:
        path: the file; its folder is made when needed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        saved = json.loads(path.read_text()) if path.is_file() else {}
        self.started: dict[str, str] = saved.get('started', {})
        self.finished: dict[str, str] = saved.get('finished', {})

    def is_finished(self, step: Step) -> bool:
        """Tell whether the same step ran to its end and its output is still there."""
        return self.finished.get(step.name) == step.digest and step.output.exists()

    def start(self, step: Step) -> None:
        """Remember that the step began; what it did before no longer counts."""
        self.started[step.name] = step.digest
        self.finished.pop(step.name, None)
        self._save()

    def finish(self, step: Step) -> None:
        """Remember that the step succeeded."""
        self.finished[step.name] = step.digest
        self._save()

    def _save(self) -> None:
        text = json.dumps(dict(started=self.started, finished=self.finished), indent=2)
        # As a whole: an interrupted write would forget every finished step.
        write_atomically(self.path, f'{text}\n'.encode())


class StepFailedError(Exception):
    """A step ended with an error."""


def digest_of(*parts: object) -> str:
    """Return a digest of the texts of ``parts``."""
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()


def progress_of(line: str, max_epochs: int | None = None) -> str | None:
    """Shorten a progress line of mmengine's log; None if ``line`` is not one."""
    match = PROGRESS.search(line)
    if match is None:
        return None
    parts = [f'iteration {match["iter"]}/{match["iters"]}', f'ETA {match["eta"]}']
    if match['mode'] == 'train':
        parts.insert(0, f'epoch {match["epoch"]}/{max_epochs}')
    elif match['mode'] == 'val':
        parts.insert(0, 'validation')
    if match['loss']:
        parts.append(f'loss {float(match["loss"]):.3f}')
    return ', '.join(parts)


def can_resume(state: State, step: Step) -> bool:
    """Tell whether a training was interrupted; clear the remains of an outdated one.

    Raises:
        StepFailedError: if the folder has checkpoints that no step wrote.
    """
    work_dir = step.output.parent
    checkpoints = [*work_dir.glob('*.pth'), *work_dir.glob('last_checkpoint')]
    if not checkpoints:
        return False
    if step.name not in state.started:
        raise StepFailedError(
            f'{work_dir} has checkpoints of another run. Choose another --work-dir.')
    if state.started[step.name] == step.digest:
        return True
    for path in checkpoints:
        path.unlink()
    return False


def run_once(step: Step, state: State, log_dir: Path, report: Report) -> None:
    """Run a step unless it is finished. Arguments as of :func:`run_step`."""
    if state.is_finished(step):
        report(f'[{step.label}] reused: {step.output}')
        return
    state.start(step)
    run_step(step, log_dir, report)
    state.finish(step)


def run_step(step: Step, log_dir: Path, report: Report) -> None:
    """Run a step, reporting its progress and logging everything it prints.

    Args:
        step: what to run.
        log_dir: folder of ``<name>.log``.
        report: receives the command, what ``step.shorten`` leaves of the output, and the end.

    Raises:
        StepFailedError: with the end of the log, if the command fails.
    """
    command = shown_command(step.command)
    report(f'[{step.label}] {command}')
    log_dir.mkdir(parents=True, exist_ok=True)
    log = log_dir / f'{step.name.replace(" ", "-")}.log'
    started = time.monotonic()
    with log.open('w') as file, subprocess.Popen(
            step.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors='replace', bufsize=1,
            env={**os.environ, 'PYTHONUNBUFFERED': '1', **step.env}) as process:
        for line in process.stdout:
            file.write(line)
            file.flush()
            shown = step.shorten(line)
            if shown:
                report(f'[{step.label}] {clock(started)} {shown}')
    if process.returncode != 0 or not step.output.exists():
        tail = ''.join(log.read_text().splitlines(keepends=True)[-TAIL:])
        raise StepFailedError(
            f'{tail}\n[{step.label}] failed with exit code {process.returncode}; log: {log}\n'
            f'Run this step alone: {command}\n'
            'Run the same command again to go on from here.')
    report(f'[{step.label}] finished in {clock(started)}')


def tool_command(tool: str, arguments: Iterable[str | Path], processes: int = 1) -> list[str]:
    """The command of ``tools/train.py`` or ``tools/test.py``, in several processes if need be.

    Args:
        tool: 'train' or 'test'.
        arguments: that stand first: config, or config and checkpoint.
        processes: one for each GPU.
    """
    positional = list(map(str, arguments))
    if processes == 1:
        return [sys.executable, f'tools/{tool}.py', *positional]
    return ['bash', f'tools/dist_{tool}.sh', *positional, str(processes)]


def make_train_step(name: str, config: Path, work_dir: Path, seed: int, inputs: str,
                    options: Iterable[str] = (), processes: int = 1,
                    arguments: Iterable[str] = (), **kwargs) -> Step:
    """The step that trains a config to its last epoch; stage 2 finds stage 1 beside its work_dir.

    Args:
        name: of the step.
        config: config file.
        work_dir: of this training.
        seed: of all random numbers.
        inputs: digest of what decides the result besides config and seed, such as the dataset.
        options: ``KEY=VALUE`` for the config that do not change the result.
        processes: of the training, one for each GPU; ``inputs`` has to tell of another number.
        arguments: further ones of ``tools/train.py``.
        **kwargs: of :class:`Step`.
    """
    cfg = Config.fromfile(config, import_custom_modules=False)
    max_epochs = cfg.train_cfg.max_epochs
    command = [*tool_command('train', [config], processes), '--work-dir', str(work_dir),
               '--seed', str(seed), *arguments, *cfg_options(options)]
    return Step(name, command, digest_of(cfg.to_dict(), inputs, seed),
                work_dir / f'epoch_{max_epochs}.pth',
                shorten=lambda line: progress_of(line, max_epochs), **kwargs)


def make_test_step(name: str, config: Path, trained: Step, options: Iterable[str] = (),
                   processes: int = 1, folder: Path | None = None, inputs: str = '',
                   **kwargs) -> Step:
    """The step that tests what a training ended with; its output is ``metrics.json``.

    Args:
        name: of the step.
        config: of the training.
        trained: the training.
        options: as of :func:`make_train_step`.
        processes: the same.
        folder: where ``test/`` is made; None is the work_dir of the training.
        inputs: digest of what decides the result besides the training.
        **kwargs: of :class:`Step`.
    """
    work_dir = (folder or trained.output.parent) / 'test'
    command = [*tool_command('test', [config, trained.output], processes),
               '--work-dir', str(work_dir), '--out', str(work_dir / PREDICTIONS),
               *cfg_options(options)]
    digest = digest_of('test', trained.digest, *([inputs] if inputs else []))
    return Step(name, command, digest, work_dir / 'metrics.json', shorten=progress_of, **kwargs)


def cfg_options(options: Iterable[str]) -> list[str]:
    """The arguments that override settings of a config."""
    return ['--cfg-options', *options] if options else []


def train_once(step: Step, state: State, log_dir: Path, report: Report) -> None:
    """Run a training unless it is finished; resume it if it was interrupted."""
    if not state.is_finished(step) and can_resume(state, step):
        step.command.append('--resume')
    run_once(step, state, log_dir, report)


def build_emoji_lt(preset: str, log_dir: Path, report: Report, label: str = 'dataset') -> str:
    """Build Emoji-LT, which keeps a complete one; return the digest of its annotations."""
    out = Path('data/emoji_lt', preset)
    annotations = out / 'annotations'
    command = [sys.executable, 'tools/dataset_tools/build_emoji_lt.py',
               '--preset', preset, '--out', str(out)]
    # Its own lines, not what mmdet says when it is imported.
    run_step(Step('dataset', command, '', annotations / 'emoji_lt_val.json', label,
                  lambda line: line.rstrip() if line.startswith(('  ', 'Emoji-LT')) else None),
             log_dir, report)
    return digest_of(*(path.read_bytes() for path in sorted(annotations.glob('*.json'))))


def read_metrics(path: Path, names: Iterable[str] = METRICS,
                 benchmark: str = 'lvis') -> dict[str, float | None]:
    """Metrics in [0, 1] from the metrics.json of a test; None for an empty group.

    Args:
        path: of the file.
        names: such as 'AP'.
        benchmark: 'lvis' or 'coco_lt'.
    """
    metrics = json.loads(path.read_text())
    return {name: metrics[f'{benchmark}/bbox_{name}'] for name in names}


def shown_command(command: list[str]) -> str:
    """Return a line for the shell that runs ``command``, with the search path that it needs."""
    # Short, if the environment is in the current folder.
    program = command[0].removeprefix(f'{Path.cwd()}{os.sep}')
    path = os.environ.get('PYTHONPATH')
    prefix = f'PYTHONPATH={shlex.quote(path)} ' if path else ''
    return prefix + shlex.join([program, *command[1:]])


def clock(started: float) -> str:
    """Return the time since ``started`` as mm:ss."""
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    return f'{minutes:02d}:{seconds:02d}'
