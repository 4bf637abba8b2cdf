"""Build Emoji-LT, train stage 1, the baseline and BACL, test the three and compare them.

Every step is one of the public tools, run as its own process. `quickstart_state.json` remembers
what the finished steps were made of; a later run reuses them, and resumes an interrupted training.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from bacl.engine.running.steps import (
    METRICS,
    PREDICTIONS,
    State,
    Step,
    StepFailedError,
    build_emoji_lt,
    clock,
    digest_of,
    make_test_step,
    make_train_step,
    read_metrics,
    run_once,
    train_once,
)

# Row of the table -> family and suffix of its config.
RUNS = {'stage 1': ('baselines', 'stage1'), 'baseline': ('baselines', 'stage2-bce'),
        'BACL': ('bacl', 'stage2-bacl')}
# Column of the table -> metric. Last, AP by labels that tell of every category in every image.
COLUMNS = {**{name: name for name in METRICS}, 'all labels': 'exhaustive_AP'}
NUM_STEPS = 5
# Iterations between two progress lines, a few seconds on a CPU.
LOG_INTERVAL = {'mini': 10, 'smoke': 2}


def report(line: str) -> None:
    """Show a line at once."""
    print(line, flush=True)


def label(number: int, name: str) -> str:
    """Return what the lines of a step begin with."""
    return f'{number}/{NUM_STEPS} {name}'


def difference(
        ours: dict[str, float | None], theirs: dict[str, float | None]) -> dict[str, float | None]:
    """Return ``ours - theirs``, None where one of both is."""
    return {
        name: None if None in (ours[name], theirs[name]) else ours[name] - theirs[name]
        for name in COLUMNS.values()
    }


def format_table(results: dict[str, dict[str, float | None]]) -> str:
    """Return a Markdown table in percent, with the gain of BACL over the baseline as last row."""
    def cells(values: dict[str, float | None], sign: str = '') -> list[str]:
        return ['n/a' if values[name] is None else f'{100 * values[name]:{sign}.1f}'
                for name in COLUMNS.values()]

    rows = [[name, *cells(values)] for name, values in results.items()]
    gain = difference(results['BACL'], results['baseline'])
    rows.append(['BACL - baseline', *cells(gain, sign='+')])
    width = max(len(row[0]) for row in rows)
    widths = [max(5, len(name)) for name in COLUMNS]
    lines = [[' ' * width, *COLUMNS], ['-' * width, *('-' * (w - 1) + ':' for w in widths)], *rows]
    return '\n'.join(
        f'| {line[0]:<{width}} | ' + ' | '.join(
            f'{cell:>{w}}' for cell, w in zip(line[1:], widths, strict=True)) + ' |'
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


def write_report(work_dirs: dict[str, Path], out: Path, state: State, digest: str,
                 log_dir: Path) -> Path:
    """Write the report of all runs; differences are to the baseline."""
    first = ['baseline', *(name for name in work_dirs if name != 'baseline')]
    command = [sys.executable, 'tools/analysis_tools/report.py',
               *(f'{name}={work_dirs[name]}' for name in first), '--out', str(out)]
    step = Step('report', command, digest, out / 'index.html', label(5, 'report'))
    run_once(step, state, log_dir, report)
    return step.output


def main() -> None:
    """Run the five steps and print the table."""
    args = parse_args()
    started = time.monotonic()
    log_dir = args.work_dir / 'logs'
    state = State(args.work_dir / 'quickstart_state.json')
    configs = {
        name: Path('configs', family,
                   f'faster-rcnn_effnet-lite0_emoji-lt-{args.preset}_{suffix}.py')
        for name, (family, suffix) in RUNS.items()
    }
    options = [f'default_hooks.logger.interval={LOG_INTERVAL[args.preset]}']
    inputs = digest_of(args.mm, build_emoji_lt(args.preset, log_dir, report, label(1, 'dataset')))
    trained, predictions = {}, {}
    for number, (name, config) in enumerate(configs.items(), start=2):
        trained[name] = make_train_step(name, config, args.work_dir / config.stem, args.seed,
                                        inputs, options, label=label(number, name))
        train_once(trained[name], state, log_dir, report)
        if name == 'stage 1':
            inputs = trained[name].digest
    for name, config in configs.items():
        test = make_test_step(f'test {name}', config, trained[name], options,
                              label=label(5, f'test {name}'))
        run_once(test, state, log_dir, report)
        predictions[name] = test.output.with_name(PREDICTIONS)
    results = {
        name: read_metrics(path.parent / 'metrics.json', COLUMNS.values())
        for name, path in predictions.items()
    }
    table = format_table(results)
    (args.work_dir / 'table.md').write_text(table + '\n')
    (args.work_dir / 'results.json').write_text(json.dumps(dict(
        preset=args.preset, mm=args.mm, seed=args.seed, **results,
        gain=difference(results['BACL'], results['baseline'])), indent=2) + '\n')
    print(f'\nEmoji-LT {args.preset}, seed {args.seed}, box AP in percent\n\n{table}\n', flush=True)
    page = write_report({name: step.output.parent for name, step in trained.items()},
                        args.work_dir / 'report', state,
                        digest_of('report', *(step.digest for step in trained.values())), log_dir)
    for name, step in trained.items():
        print(f'{name + " checkpoint":<20} {step.output}')
    print(f'{"logs":<20} {log_dir}\n{"report":<20} {page}\n'
          f'{"table, results":<20} {args.work_dir}/table.md, results.json\n'
          f'{"total time":<20} {clock(started)}')


if __name__ == '__main__':
    try:
        main()
    except StepFailedError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit('\nInterrupted. Run the quickstart again to go on from here.')
