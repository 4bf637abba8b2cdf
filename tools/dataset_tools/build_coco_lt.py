"""Build the training annotations of COCO-LT, a long-tailed selection of COCO's."""
import argparse
import sys
import time
from pathlib import Path

from bacl.datasets.coco_lt import CocoLTSummary, build_coco_lt

ANNOTATIONS = Path('data/coco/annotations')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--source', type=Path, default=ANNOTATIONS / 'instances_train2017.json',
                        help='annotations in COCO format; default: %(default)s')
    parser.add_argument('--out', type=Path, default=ANNOTATIONS / 'coco_lt_train2017.json',
                        help='file to write; default: %(default)s')
    how = parser.add_mutually_exclusive_group()
    how.add_argument('--level', choices=('A', 'B', 'C'), default='B',
                     help="A: in the images of SimCal's index; B: the published number of "
                     'annotations of each class; C: exponentially falling numbers, for any '
                     'dataset; default: %(default)s')
    how.add_argument('--official', type=Path, metavar='FILE',
                     help='train_coco2017_LT_sampled.json of SimCal, to which counts and groups '
                     'are added')
    parser.add_argument('--simcal-index', type=Path, metavar='FILE',
                        help='for level A: class_to_imageid_and_inscount_coco_sampled.pt')
    parser.add_argument('--max-count', type=int, metavar='N',
                        help='for level C: annotations of the most frequent class')
    parser.add_argument('--min-count', type=int, metavar='N',
                        help='for level C: annotations of the least frequent class')
    parser.add_argument('--seed', type=int, default=0, help='of the choice of annotations')
    return parser.parse_args()


def print_statistics(summary: CocoLTSummary) -> None:
    """Print what the file contains and where it is."""
    groups = ', '.join(map(str, summary.group_sizes))
    print(f'{summary.out_file}: level {summary.level}\n'
          f'  {summary.num_instances} annotations in {summary.num_images} images\n'
          f'  classes in groups 1 to {len(summary.group_sizes)}: {groups}\n'
          f'  digest: {summary.digest}')


def main() -> None:
    """Build and report; an error that the user can cure is one line."""
    args = parse_args()
    start = time.perf_counter()
    try:
        summary = build_coco_lt(
            args.official or args.source, args.out, 'official' if args.official else args.level,
            args.seed, args.simcal_index, args.max_count, args.min_count)
    except (ValueError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print_statistics(summary)
    print(f'  {time.perf_counter() - start:.1f} s')


if __name__ == '__main__':
    main()
