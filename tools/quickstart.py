"""Build Emoji-LT, train stage 1, the baseline and BACL, test the three and compare them.

Every step is one of the public tools, run as its own process. `quickstart_state.json` remembers
what the finished steps were made of; a later run reuses them, and resumes an interrupted training.
"""

import argparse
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

# Short in what is shown, as long as .venv is in the current folder.
PYTHON = os.path.relpath(sys.executable)
METRICS = ('AP', 'APr', 'APc', 'APf')
# Row of the table -> suffix of its config.
RUNS = {'stage 1': 'stage1', 'baseline': 'stage2-bce', 'BACL': 'stage2-bacl'}
NUM_STEPS = 5
# Iterations between two progress lines, a few seconds on a CPU.
LOG_INTERVAL = {'mini': 10, 'smoke': 2}
TAIL = 25  # lines of the log that a failure shows

PROGRESS = re.compile(
    r'Epoch\((?P<mode>train|val|test)\)\s+(?:\[(?P<epoch>\d+)\])?\[\s*(?P<iter>\d+)/(?P<iters>\d+)\]'
    r'.*?\beta: (?P<eta>(?:\d+ days?, )?[\d:]+)(?:.*?\bloss: (?P<loss>[\d.einfa+-]+))?')


@dataclass(frozen=True)
class Step:
    """One process of the quickstart.

    Attributes:
        number: in 1..NUM_STEPS.
        name: unique, also the name of the log.
        command: program and arguments.
        digest: of everything that decides the result.
        output: file or folder that exists once the step has finished.
    """

    number: int
    name: str
    command: list[str]
    digest: str
    output: Path

    @property
    def label(self) -> str:
        """What its lines begin with."""
        return f'{self.number}/{NUM_STEPS} {self.name}'


class State:
    """Digests of the steps that were started and finished, kept in a JSON file."""

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
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(dict(started=self.started, finished=self.finished), indent=2)
        self.path.write_text(text + '\n')


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
        StepFailedError: if the folder has checkpoints that the quickstart did not write.
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


def run_once(
        step: Step, state: State, log_dir: Path, shorten: Callable[[str], str | None]) -> None:
    """Run a step unless it is finished. Arguments as of :func:`run_step`."""
    if state.is_finished(step):
        print(f'[{step.label}] reused: {step.output}', flush=True)
        return
    state.start(step)
    run_step(step, log_dir, shorten)
    state.finish(step)


def run_step(step: Step, log_dir: Path, shorten: Callable[[str], str | None]) -> None:
    """Run a step, showing its progress and logging everything it prints.

    Args:
        step: what to run.
        log_dir: folder of ``<name>.log``.
        shorten: what to show of a line; None hides it.

    Raises:
        StepFailedError: with the end of the log, if the command fails.
    """
    command = shown_command(step.command)
    print(f'[{step.label}] {command}', flush=True)
    log_dir.mkdir(parents=True, exist_ok=True)
    log = log_dir / f'{step.name.replace(" ", "-")}.log'
    started = time.monotonic()
    with log.open('w') as file, subprocess.Popen(
            step.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors='replace', bufsize=1,
            env=dict(os.environ, PYTHONUNBUFFERED='1')) as process:
        for line in process.stdout:
            file.write(line)
            file.flush()
            shown = shorten(line)
            if shown:
                print(f'[{step.label}] {clock(started)} {shown}', flush=True)
    if process.returncode != 0 or not step.output.exists():
        tail = ''.join(log.read_text().splitlines(keepends=True)[-TAIL:])
        raise StepFailedError(
            f'{tail}\n[{step.label}] failed with exit code {process.returncode}; log: {log}\n'
            f'Run this step alone: {command}\n'
            'Run the quickstart again to go on from here.')
    print(f'[{step.label}] finished in {clock(started)}', flush=True)


def shown_command(command: list[str]) -> str:
    """Return a line for the shell that runs ``command``, with the search path that it needs."""
    path = os.environ.get('PYTHONPATH')
    return (f'PYTHONPATH={shlex.quote(path)} ' if path else '') + shlex.join(command)


def clock(started: float) -> str:
    """Return the time since ``started`` as mm:ss."""
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    return f'{minutes:02d}:{seconds:02d}'


def read_metrics(path: Path) -> dict[str, float | None]:
    """Return METRICS in [0, 1] from the metrics.json of tools/test.py; None for an empty group."""
    metrics = json.loads(path.read_text())
    return {name: metrics[f'lvis/bbox_{name}'] for name in METRICS}


def difference(
        ours: dict[str, float | None], theirs: dict[str, float | None]) -> dict[str, float | None]:
    """Return ``ours - theirs``, None where one of both is."""
    return {
        name: None if None in (ours[name], theirs[name]) else ours[name] - theirs[name]
        for name in METRICS
    }


def format_table(results: dict[str, dict[str, float | None]]) -> str:
    """Return a Markdown table in percent, with the gain of BACL over the baseline as last row."""
    def cells(values: dict[str, float | None], sign: str = '') -> list[str]:
        return ['n/a' if values[name] is None else f'{100 * values[name]:{sign}.1f}'
                for name in METRICS]

    rows = [[name, *cells(values)] for name, values in results.items()]
    gain = difference(results['BACL'], results['baseline'])
    rows.append(['BACL - baseline', *cells(gain, sign='+')])
    width = max(len(row[0]) for row in rows)
    lines = [[' ' * width, *METRICS], ['-' * width, *['----:'] * len(METRICS)], *rows]
    return '\n'.join(
        f'| {line[0]:<{width}} | ' + ' | '.join(f'{cell:>5}' for cell in line[1:]) + ' |'
        for line in lines)


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--preset', choices=('mini', 'smoke'), default='mini')
    parser.add_argument('--mm', choices=('official', 'onedl'), default='official',
                        help='the mm packages in use; keeps their results apart')
    parser.add_argument('--work-dir', type=Path,
                        help='default: work_dirs/quickstart/<preset>[-onedl]/seed-<seed>')
    parser.add_argument('--seed', type=int, default=0, help='seed of the trainings')
    args = parser.parse_args(argv)
    if args.work_dir is None:
        stack = '' if args.mm == 'official' else f'-{args.mm}'
        args.work_dir = Path(f'work_dirs/quickstart/{args.preset}{stack}/seed-{args.seed}')
    return args


def build_dataset(preset: str, log_dir: Path) -> str:
    """Build Emoji-LT, which keeps a complete one; return the digest of its annotations."""
    out = Path('data/emoji_lt', preset)
    annotations = out / 'annotations'
    command = [PYTHON, 'tools/dataset_tools/build_emoji_lt.py',
               '--preset', preset, '--out', str(out)]
    step = Step(1, 'dataset', command, '', annotations / 'emoji_lt_val.json')
    # Its own lines, not what mmdet says when it is imported.
    run_step(step, log_dir,
             lambda line: line.rstrip() if line.startswith(('  ', 'Emoji-LT')) else None)
    return digest_of(*(path.read_bytes() for path in sorted(annotations.glob('*.json'))))


def log_interval(preset: str) -> str:
    """Return the config option that sets how often progress is shown."""
    return f'default_hooks.logger.interval={LOG_INTERVAL[preset]}'


def train(number: int, name: str, config: str, inputs: str, args: argparse.Namespace,
          state: State, log_dir: Path) -> Step:
    """Train one config; stage 2 finds stage 1 beside its own work_dir."""
    cfg = Config.fromfile(config, import_custom_modules=False)
    max_epochs = cfg.train_cfg.max_epochs
    work_dir = args.work_dir / Path(config).stem
    command = [PYTHON, 'tools/train.py', config, '--work-dir', str(work_dir),
               '--seed', str(args.seed), '--cfg-options', log_interval(args.preset)]
    step = Step(number, name, command, digest_of(cfg.to_dict(), inputs, args.seed, args.mm),
                work_dir / f'epoch_{max_epochs}.pth')
    if not state.is_finished(step) and can_resume(state, step):
        step.command.append('--resume')
    run_once(step, state, log_dir, lambda line: progress_of(line, max_epochs))
    return step


def test(name: str, config: str, trained: Step, preset: str, state: State, log_dir: Path) -> Path:
    """Test one checkpoint; return its predictions, with metrics.json beside them."""
    work_dir = trained.output.parent / 'test'
    predictions = work_dir / 'predictions.pkl'
    command = [PYTHON, 'tools/test.py', config, str(trained.output),
               '--work-dir', str(work_dir), '--out', str(predictions),
               '--cfg-options', log_interval(preset)]
    step = Step(5, f'test {name}', command, digest_of('test', trained.digest),
                work_dir / 'metrics.json')
    run_once(step, state, log_dir, progress_of)
    return predictions


def draw(preset: str, predictions: dict[str, Path], out: Path, state: State, digest: str,
         log_dir: Path) -> None:
    """Draw a handful of validation images with ground truth and detections side by side."""
    data_root = Path('data/emoji_lt', preset)
    command = [PYTHON, 'tools/analysis_tools/compare_predictions.py',
               str(data_root / 'annotations/emoji_lt_val.json'), str(data_root),
               *(f'{name}={path}' for name, path in predictions.items()), '--out', str(out)]
    step = Step(5, 'pictures', command, digest, out)
    run_once(step, state, log_dir, lambda line: None)


def main() -> None:
    """Run the five steps and print the table."""
    args = parse_args()
    started = time.monotonic()
    log_dir = args.work_dir / 'logs'
    pictures = args.work_dir / 'pictures'
    state = State(args.work_dir / 'quickstart_state.json')
    configs = {
        name: f'configs/bacl/faster-rcnn_effnet-lite0_emoji-lt-{args.preset}_{suffix}.py'
        for name, suffix in RUNS.items()
    }
    inputs = build_dataset(args.preset, log_dir)
    trained = {}
    for number, (name, config) in enumerate(configs.items(), start=2):
        trained[name] = train(number, name, config, inputs, args, state, log_dir)
        if name == 'stage 1':
            inputs = trained[name].digest
    predictions = {
        name: test(name, config, trained[name], args.preset, state, log_dir)
        for name, config in configs.items()
    }
    draw(args.preset, predictions, pictures, state,
         digest_of('pictures', *(step.digest for step in trained.values())), log_dir)

    results = {
        name: read_metrics(path.parent / 'metrics.json') for name, path in predictions.items()
    }
    table = format_table(results)
    (args.work_dir / 'table.md').write_text(table + '\n')
    (args.work_dir / 'results.json').write_text(json.dumps(dict(
        preset=args.preset, mm=args.mm, seed=args.seed, **results,
        gain=difference(results['BACL'], results['baseline'])), indent=2) + '\n')
    print(f'\nEmoji-LT {args.preset}, seed {args.seed}, box AP in percent\n\n{table}\n')
    for name, step in trained.items():
        print(f'{name + " checkpoint":<20} {step.output}')
    print(f'{"logs":<20} {log_dir}\n{"pictures":<20} {pictures}\n'
          f'{"table, results":<20} {args.work_dir}/table.md, results.json\n'
          f'{"total time":<20} {clock(started)}')


if __name__ == '__main__':
    try:
        main()
    except StepFailedError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit('\nInterrupted. Run the quickstart again to go on from here.')
