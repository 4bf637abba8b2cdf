"""Export annotations and detections of runs: a FiftyOne dataset, and COCO results."""
import argparse
import sys
from pathlib import Path

try:
    from bacl.evaluation.functional.records import write_records
    from bacl.report.fiftyone import field_names, write_fiftyone
    from bacl.report.run_files import find_runs, read_detections
except ImportError as error:  # names the package and how to get it
    sys.exit(str(error))


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog='Run it where the runs were tested: paths in their configs '
        'start there.')
    parser.add_argument(
        'runs', nargs='+', metavar='RUN', help='work_dir of a training, or NAME=WORK_DIR, with the '
        'predictions of tools/test.py in test/predictions.pkl')
    parser.add_argument('--out', type=Path, required=True,
                        help='folder for fiftyone/ and coco/NAME.json; made if there is none')
    parser.add_argument(
        '--score-thr', type=float, default=0.05, metavar='SCORE', help='leave detections of lower '
        'scores out of the FiftyOne dataset (default: %(default)s)')
    parser.add_argument(
        '--max-dets', type=int, default=100, metavar='N',
        help='largest number of detections of an image there (default: %(default)s)')
    return parser.parse_args()


def main() -> None:
    """Export; an error that the user can cure is one line."""
    args = parse_args()
    try:
        validation, runs = read_detections(find_runs(args.runs))
        folder = write_fiftyone(args.out / 'fiftyone', validation, runs, args.score_thr,
                                args.max_dets)
        for name, field in field_names(list(runs)).items():
            detections, _ = runs[name]
            path = args.out / 'coco' / f'{field}.json'
            write_records(path, detections.records(detections.region))
            print(f'{len(detections)} detections of {name}: {path}')
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print(f'FiftyOne dataset: {folder}')
    print(f"Open it: python -c \"import fiftyone as fo; fo.launch_app(fo.Dataset.from_dir("
          f"'{folder}', fo.types.FiftyOneDataset, dynamic=True)).wait()\"")


if __name__ == '__main__':
    main()
