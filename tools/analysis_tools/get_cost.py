"""Print parameters, FLOPs and speed of the detector of a config."""
import argparse
import sys

import torch
from bacl.engine.probing.cost import count_multiply_adds, count_parameters, measure_fps
from bacl.engine.running.build import build_model
from bacl.engine.running.work_dir import require_file
from mmengine.config import DictAction
from mmengine.runner import load_checkpoint


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    default_device = 'cuda' if torch.cuda.is_available() else 'cpu'
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--shape', nargs=2, type=int, default=(800, 1333), metavar=('H', 'W'),
        help='size of the input in pixels (default: 800 1333)')
    parser.add_argument(
        '--checkpoint', help='weights of the config: the speed is that of whole predictions. '
        'Without, it is that of the network alone, since NMS depends on trained scores')
    parser.add_argument('--device', default=default_device, help=f'default: {default_device}')
    parser.add_argument(
        '--num-images', type=int, default=20, help='images that are timed (default: 20)')
    parser.add_argument('--no-fps', action='store_true', help='leave the speed out')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
        help='override settings of the config, e.g. model.backbone.depth=101')
    return parser.parse_args()


def report(args: argparse.Namespace) -> None:
    """Measure and print."""
    model = build_model(args.config, args.cfg_options).to(args.device).eval()
    if args.checkpoint is not None:
        require_file(args.checkpoint, '--checkpoint')
        load_checkpoint(model, args.checkpoint, map_location='cpu', strict=True)
    height, width = args.shape
    print(f'input: {height} x {width}')
    print(f'parameters: {count_parameters(model) / 1e6:.2f} M, '
          f'{count_parameters(model, only_learning=True) / 1e6:.2f} M of them not frozen')
    print(f'FLOPs: {count_multiply_adds(model, height, width) / 1e9:.2f} G (multiply-adds)')
    if not args.no_fps:
        is_trained = args.checkpoint is not None
        fps = measure_fps(model, height, width, args.num_images, whole_prediction=is_trained)
        timed = 'whole prediction' if is_trained else 'network alone'
        print(f'FPS: {fps:.2f} images/s ({timed}, {args.device})')


def main() -> None:
    """Report; an error that the user can cure is one line."""
    args = parse_args()
    try:
        report(args)
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')


if __name__ == '__main__':
    main()
