"""Build Emoji-LT, a small long-tailed detection dataset, from installed packages."""
import argparse
import os
import sys
import time
from pathlib import Path

from bacl.datasets.emoji_lt import (
    PRESETS,
    EmojiLTSummary,
    ImageLevelSummary,
    build_emoji_lt,
    build_image_level,
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--preset', choices=tuple(PRESETS), default='mini', help='size')
    parser.add_argument('--out', type=Path, help='folder; default: data/emoji_lt/PRESET, '
                        'or data/emoji_lt/PRESET-image-level')
    parser.add_argument('--image-level', action='store_true', help='build instead the pictures of '
                        'single drawings with their classes and without boxes')
    parser.add_argument('--seed', type=int, default=0, help='seed of everything random')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1, help='processes')
    return parser.parse_args()


def show_progress(done: int, total: int) -> None:
    """Print the number of images at every tenth of the way."""
    if done * 10 // total != (done - 1) * 10 // total:
        print(f'  {done} of {total} images', flush=True)


def print_statistics(summary: EmojiLTSummary) -> None:
    """Print what the dataset contains and where it is."""
    num_categories = summary.num_rare + summary.num_common + summary.num_frequent
    print(f'Emoji-LT {summary.preset}, seed {summary.seed}: {num_categories} categories '
          f'({summary.num_rare} r / {summary.num_common} c / {summary.num_frequent} f)')
    for split in summary.num_images:
        print(f'  {split}: {summary.num_images[split]} images, {summary.num_objects[split]} '
              f'objects, {summary.objects_per_image(split):.1f} an image, '
              f'{summary.ann_file(split)}')
    absent, partly = (number / summary.num_images['val'] for number in (
        summary.num_negatives, summary.num_not_exhaustive))
    print(f'  val, an image: {absent:.1f} categories known to be absent, {partly:.1f} not '
          f'exhaustively annotated; all is in {summary.ann_file("val_exhaustive")}')
    print(f'  samples: {summary.contact_sheet}')
    print(f'  digest of the annotations: {summary.digest}')


def print_image_level(summary: ImageLevelSummary) -> None:
    """Print what the image-level data contain and where they are."""
    print(f'Emoji-LT {summary.preset}, seed {summary.seed}: {summary.num_images} images with a '
          f'class and without boxes, {summary.num_categories} categories, of which '
          f'{summary.num_new_styles} in styles that training leaves out, {summary.ann_file}')
    print(f'  samples: {summary.contact_sheet}')
    print(f'  digest of the annotations: {summary.digest}')


def main() -> None:
    """Build and report; an error that the user can cure is one line."""
    args = parse_args()
    name = f'{args.preset}-image-level' if args.image_level else args.preset
    out_dir = args.out or Path('data/emoji_lt') / name
    build, report = (build_image_level, print_image_level) if args.image_level else (
        build_emoji_lt, print_statistics)
    start = time.perf_counter()
    try:
        summary = build(args.preset, out_dir, args.seed, args.workers, show_progress)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    report(summary)
    print(f'  {time.perf_counter() - start:.1f} s')


if __name__ == '__main__':
    main()
