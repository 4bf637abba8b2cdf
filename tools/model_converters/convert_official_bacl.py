"""Convert a checkpoint of the official BACL repository (MMDetection 2.x) for a config of ours."""
import argparse
import io
import sys
from pathlib import Path

import torch
from bacl.compat.atomic_files import write_atomically
from bacl.compat.checkpoints import load_weights
from bacl.engine.running.build import build_model
from bacl.engine.running.official_checkpoint import convert_official_checkpoint
from mmengine.config import DictAction


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of the same detector, classes and loss')
    parser.add_argument('checkpoint', help='official checkpoint; no code in it is executed')
    parser.add_argument('out', type=Path, help='file to write')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
        help='override settings of the config, e.g. model.backbone.depth=101')
    return parser.parse_args()


def main() -> None:
    """Convert and report; an error that the user can cure is one line."""
    args = parse_args()
    try:
        model = build_model(args.config, args.cfg_options)
        conversion = convert_official_checkpoint(load_weights(args.checkpoint), model)
        content = io.BytesIO()
        torch.save(conversion.checkpoint, content)
        write_atomically(args.out, content.getvalue())
    except (ValueError, TypeError, RuntimeError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print(conversion)
    print(f'written to {args.out}')


if __name__ == '__main__':
    main()
