"""Write an HTML page about a dataset: what is imbalanced in it, before any training."""

import argparse
import sys
from pathlib import Path

try:
    from bacl.report.page import write_dataset_report
    from bacl.report.run_files import read_images
except ImportError as error:  # names the package and how to get it
    sys.exit(str(error))


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('ann_file', help='annotations in LVIS or COCO format')
    parser.add_argument('img_dir', help='folder that the file names start from')
    parser.add_argument('--out', type=Path, required=True,
                        help='folder for index.html and csv/; made if there is none; an earlier '
                        'report there is replaced')
    return parser.parse_args()


def main() -> None:
    """Write the page."""
    args = parse_args()
    try:
        page = write_dataset_report(args.out, read_images(args.ann_file, args.img_dir))
    except (ValueError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print(f'Report: {page}')


if __name__ == '__main__':
    main()
