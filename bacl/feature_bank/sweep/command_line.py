"""The command line of tools that run a sweep."""
import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bacl.engine.running.run_lock import lock_work_dir

from .rows import Row
from .sweep import Sweep


def add_arguments(parser: argparse.ArgumentParser, work_dir: str) -> None:
    """Add what every sweep is told.

    Args:
        parser: of the tool.
        work_dir: default of ``--work-dir``.
    """
    parser.add_argument('--feature-bank', required=True, metavar='DIR',
                        help='bank of stage 1, which tools/build_feature_bank.py wrote')
    parser.add_argument('--stage1-checkpoint', metavar='PATH',
                        help='checkpoint or work_dir of stage 1 (default: that of the bank)')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2],
                        help='of the trainings (default: 0 1 2)')
    parser.add_argument('--jobs', type=_positive_int, default=1,
                        help='runs at a time; several have one thread each (default: 1)')
    parser.add_argument('--work-dir', type=Path, default=Path(work_dir),
                        help=f'for runs and tables (default: {work_dir})')


def _positive_int(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f'expects a number from 1 on, got {text!r}')
    return int(text)


def run_rows(rows: Sequence[Row], args: argparse.Namespace) -> tuple[Sweep, str | None]:
    """Do what is not finished yet; write and print the tables, also after Ctrl-C or SIGTERM.

    Args:
        rows: to compare.
        args: of :func:`add_arguments`.

    Returns:
        The sweep, and what it lacks, in words; None if nothing.

    Raises:
        RuntimeError: if another sweep uses the folder.
        ValueError, OSError: as of :class:`Sweep`.
    """
    args.work_dir.mkdir(parents=True, exist_ok=True)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with lock_work_dir(str(args.work_dir)):
            sweep = Sweep(rows, args.seeds, args.feature_bank, args.work_dir,
                          args.stage1_checkpoint)
            lack = _run(sweep, args.jobs)
            print(f'\n{sweep.write()}\n{args.work_dir}/table.md, summary.csv, results.csv',
                  flush=True)
    finally:
        signal.signal(signal.SIGTERM, before)
    return sweep, lack


def _run(sweep: Sweep, jobs: int) -> str | None:
    try:
        print(f'{len(sweep.pending())} runs to do, {len(sweep.results)} results are there.',
              file=sys.stderr)
        sweep.check(jobs)
        sweep.run(jobs)
    except KeyboardInterrupt:
        return ('Interrupted. What is finished is in the tables; the same command goes on with '
                f'{len(sweep.pending())} runs.')
    if sweep.errors:
        names = ', '.join(f'{name} (seed {seed})' for name, seed in sweep.errors)
        return f'Failed: {names}. The same command tries again.'
    return None
