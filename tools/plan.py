"""Plan from annotations and images: write configs and the reason of every setting."""
import argparse
import shlex
import sys
from pathlib import Path

from bacl.planning.detectors import RECIPES
from bacl.planning.pairs import Sources
from bacl.planning.plan import Request, make_plan
from bacl.planning.sides import NUM_OPENED

BASES = Path(__file__).resolve().parents[1] / 'configs' / '_base_'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, epilog='Run it in the root of the '
                                     'checkout: paths in the configs start there.')
    parser.add_argument('--train', type=Path, required=True, metavar='ANN',
                        help='annotations in COCO or LVIS format')
    parser.add_argument('--images', type=Path, required=True, metavar='DIR',
                        help='folder of the images, or one above it')
    side = parser.add_mutually_exclusive_group()
    side.add_argument('--val', type=Path, metavar='ANN', help='annotations for validation')
    side.add_argument('--val-share', type=float, default=Sources.val_share,
                      metavar='SHARE',
                      help='without --val: of the images for validation (default: %(default)s)')
    parser.add_argument('--val-images', type=Path, metavar='DIR',
                        help='folder of their images (default: as --images)')
    parser.add_argument('--name', help='of the plan (default: of the folder of the data)')
    parser.add_argument('--detector', choices=RECIPES,
                        help='default: faster-rcnn_r50_fpn with a GPU, else the small one')
    parser.add_argument('--gpus', type=int, metavar='N', help="default: this machine's")
    parser.add_argument('--memory', type=float, metavar='GB',
                        help="of a GPU (default: this machine's)")
    parser.add_argument('--epochs', type=int, metavar='N',
                        help='of stage 1 (default: by the number of images)')
    parser.add_argument('--crowds-are-objects', action='store_true',
                        help='take annotations with iscrowd 1 as objects')
    parser.add_argument('--open-images', dest='num_opened', type=int, default=NUM_OPENED,
                        metavar='N', help='images that are decoded, 0 for none '
                        '(default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the split (default: 0)')
    parser.add_argument('--out', type=Path, metavar='DIR',
                        help='folder of the configs (default: configs/NAME)')
    parser.add_argument('--data', type=Path, metavar='DIR', help='folder of annotation files that '
                        'had to be split or repaired (default: data/NAME)')
    return parser.parse_args()


def main() -> None:
    """Plan; an error that the user can cure is one line, or one with what is wrong in a file."""
    args = parse_args()
    options = dict(vars(args), command=shlex.join(['python', 'tools/plan.py', *sys.argv[1:]]))
    try:
        plan = make_plan(*(kind(**{key: value for key, value in options.items()
                                   if key in kind.__dataclass_fields__})
                           for kind in (Sources, Request)), BASES,
                         lambda line: print(line, flush=True))
    except (ValueError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print(f'\nWritten to {plan.folder}; README.md there has the reasons.\n')
    width = max(len(decision.matter) for decision in plan.settings.decisions)
    for decision in plan.settings.decisions:
        print(f'{decision.matter:<{width}}  {decision.choice}')
    for note in plan.notes:
        print(f'- {note}')
    print('\nNext:\n' + '\n'.join(plan.commands))


if __name__ == '__main__':
    main()
