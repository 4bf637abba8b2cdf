"""Split the images of an annotation file in two: to train on, and to hold out."""
import argparse
import sys
from pathlib import Path

from bacl.annotations import read_annotations
from bacl.annotations.splitting import part_of, split_images, training_part
from bacl.datasets.json_files import write_json


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('ann_file', type=Path, help='in COCO or LVIS format')
    parser.add_argument('--share', type=float, default=0.1,
                        help='of the images that is held out (default: 0.1)')
    parser.add_argument('--seed', type=int, default=0, help='of the choice (default: 0)')
    parser.add_argument('--out', type=Path, metavar='DIR',
                        help='folder of the two files; default: that of the file')
    return parser.parse_args()


def split(args: argparse.Namespace) -> None:
    """Write the two files and say how many images and classes each has."""
    data = read_annotations(args.ann_file)
    folder = args.out or args.ann_file.parent
    for name, make, image_ids in zip(('part', 'held_out'), (training_part, part_of),
                                     split_images(data, args.share, args.seed), strict=True):
        part = make(data, image_ids)
        path = folder / f'{args.ann_file.stem}_{name}.json'
        write_json(path, part)
        classes = {annotation['category_id'] for annotation in part['annotations']}
        print(f'{path}: {len(image_ids)} images, {len(part["annotations"])} annotations, '
              f'{len(classes)} of {len(data["categories"])} classes')


def main() -> None:
    """Split; an error that the user can cure is one line."""
    try:
        split(parse_args())
    except (ValueError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')


if __name__ == '__main__':
    main()
