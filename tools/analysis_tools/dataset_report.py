"""Write an HTML page about a dataset: what is imbalanced in it, before any training."""

import argparse
from pathlib import Path

from bacl.analysis.report import write_dataset_report
from bacl.engine.run_files import read_images


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('ann_file', help='annotations in LVIS or COCO format')
    parser.add_argument('img_dir', help='folder that the file names start from')
    parser.add_argument('--out', type=Path, required=True,
                        help='folder for index.html and csv/; made if there is none')
    return parser.parse_args()


def main() -> None:
    """Write the page."""
    args = parse_args()
    print(f'Report: {write_dataset_report(args.out, read_images(args.ann_file, args.img_dir))}')


if __name__ == '__main__':
    main()
