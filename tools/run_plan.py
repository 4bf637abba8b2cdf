"""Run a plan: stage 1, baseline, BACL, tests, calibration, report.

Every step is one of the public tools, run as its own process. `plan_state.json` in the work_dir
remembers what the finished steps were made of; a later run reuses them, and resumes an interrupted
training.
"""
import argparse
import sys
from pathlib import Path

from bacl.engine.running.steps import StepFailedError
from bacl.planning.chain import Chain


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, help='configs that tools/plan.py wrote')
    parser.add_argument('gpus', type=int, nargs='?', help="processes (default: the plan's number)")
    parser.add_argument('--work-dir', type=Path, help='default: work_dirs/NAME')
    parser.add_argument('--seed', type=int, default=0, help='of the trainings (default: 0)')
    return parser.parse_args()


def main() -> None:
    """Run."""
    args = parse_args()
    if not Path('tools/train.py').is_file():
        sys.exit('Run it in the root of the checkout, which has the tools.')
    try:
        Chain.of_folder(args.folder, args.gpus, args.work_dir, args.seed,
                        lambda line: print(line, flush=True)).run()
    except (StepFailedError, ValueError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit('\nInterrupted. Run the same command again to go on from here.')


if __name__ == '__main__':
    main()
