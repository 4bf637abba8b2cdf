"""Leave annotations of a training file out, as if they had been overlooked."""
import argparse
import sys
from pathlib import Path

from bacl.annotations import read_annotations
from bacl.annotations.splitting import drop_annotations
from bacl.datasets.json_files import write_json


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('ann_file', type=Path, help='in COCO or LVIS format')
    parser.add_argument('--share', type=float, default=0.5,
                        help='of the annotations that goes, but for the last one of a class '
                        '(default: 0.5)')
    parser.add_argument('--seed', type=int, default=0, help='of the choice (default: 0)')
    parser.add_argument('--out', type=Path, metavar='FILE',
                        help='default: beside the file, NAME_dropped-SHARE_seed-SEED.json')
    return parser.parse_args()


def drop(args: argparse.Namespace) -> None:
    """Write the file and say what is left."""
    data = read_annotations(args.ann_file)
    kept = drop_annotations(data, args.share, args.seed)
    path = args.out or args.ann_file.with_name(
        f'{args.ann_file.stem}_dropped-{args.share:g}_seed-{args.seed}.json')
    if path.exists() and path.samefile(args.ann_file):
        raise ValueError(f'--out expects another file than {args.ann_file}, which would be lost.')
    write_json(path, kept)
    print(f'{path}: {len(kept["annotations"])} of {len(data["annotations"])} annotations')


def main() -> None:
    """Drop; an error that the user can cure is one line."""
    try:
        drop(parse_args())
    except (ValueError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')


if __name__ == '__main__':
    main()
