"""Predict the objects of images: pictures with boxes, and a COCO file of the detections."""
import argparse
import sys
from pathlib import Path

from bacl.engine.prediction import find_images, predict
from bacl.engine.prediction.predicting import DETECTIONS, PICTURES
from mmengine.config import DictAction
from rich.progress import Progress


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        'images', help='an image, a folder of images, or a .txt file with the path of an image in '
        'each line, which starts in the folder of the list')
    parser.add_argument('--out', type=Path, required=True,
                        help=f'folder for {PICTURES}/ and {DETECTIONS}; made if there is none')
    parser.add_argument(
        '--score-thr', type=float, default=0.3, metavar='SCORE', help='leave out detections of '
        'lower scores, which those of rare classes may be (default: %(default)s)')
    parser.add_argument(
        '--max-dets', type=int, default=100, metavar='N',
        help='largest number of detections of an image (default: %(default)s)')
    parser.add_argument('--device', help='cpu, cuda:1, ... (default: a GPU, if there is one)')
    parser.add_argument('--skip-unreadable', action='store_true', help='go on without images that '
                        'are missing or cannot be read, and name them')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE',
        help='override settings of the config, e.g. model.test_cfg.rcnn.score_thr=0.01')
    return parser.parse_args()


def main() -> None:
    """Predict; an error that the user can cure is one line."""
    args = parse_args()
    num_images = num_objects = 0
    try:
        files = find_images(args.images, args.out / PICTURES)
        found = predict(args.config, args.checkpoint, args.images, args.out, args.score_thr,
                        args.max_dets, args.device, args.skip_unreadable, args.cfg_options)
        with Progress() as progress:
            task = progress.add_task('Predicting', total=len(files))
            for prediction in found:
                num_images += 1
                num_objects += len(prediction.scores)
                progress.advance(task)
            progress.update(task, completed=len(files))  # those that were left out, too
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print(f'{num_objects} objects in {num_images} images: {args.out / DETECTIONS}, '
          f'{args.out / PICTURES}')


if __name__ == '__main__':
    main()
