"""Write an HTML page about runs: what is imbalanced, what training did about it, what fails."""

import argparse
import sys
from pathlib import Path

try:
    from bacl.report.page import Images, write_run_report
    from bacl.report.page.frames import NUM_DRAWS
    from bacl.report.run_files import (
        RunFiles,
        find_runs,
        read_pyramid,
        read_runs,
        read_training_images,
    )
except ImportError as error:  # names the package and how to get it
    sys.exit(str(error))


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog='Run it where the runs were tested: paths in their configs '
        'start there.')
    parser.add_argument(
        'runs', nargs='+', metavar='RUN', help='work_dir of a training, or NAME=WORK_DIR, with the '
        'predictions of tools/test.py in test/predictions.pkl; differences are to the first run')
    parser.add_argument('--out', type=Path, required=True,
                        help='folder for index.html and csv/; made if there is none; an earlier '
                        'report there is replaced')
    parser.add_argument('--draws', type=int, default=NUM_DRAWS, metavar='N',
                        help='draws of the bootstrap (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0,
                        help='of the images that are chosen at random (default: %(default)s)')
    return parser.parse_args()


def training_images(run: RunFiles) -> Images | str:
    """The images that a run was trained on, or why the page says nothing of them."""
    try:
        return read_training_images(run)
    except FileNotFoundError as error:
        reason = f'Left out: {error}'
        print(reason, file=sys.stderr)
        return reason


def main() -> None:
    """Write the page."""
    args = parse_args()
    try:
        files = find_runs(args.runs)
        validation, runs = read_runs(files)
        page = write_run_report(args.out, validation, runs, training_images(files[0]),
                                read_pyramid(files[0]), args.draws, args.seed)
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print(f'Report: {page}')


if __name__ == '__main__':
    main()
