"""Choose the strength of a calibrator on held-out training images; write a config with it."""
import argparse
import copy
import sys
from pathlib import Path

from bacl.engine.calibration.choice import (
    Choice,
    choose,
    hold_images_out,
    open_roi_head,
    write_calibrated_config,
)
from bacl.engine.running.command_line import read_config, run_parser
from bacl.engine.running.launch import prepare_launch
from bacl.engine.running.run_lock import lock_work_dir
from bacl.engine.running.work_dir import require_file, resolve_work_dir
from bacl.visualization.strength_curve import draw_strength_curve
from mmengine.config import Config
from mmengine.registry import init_default_scope


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = run_parser('Choose the strength of a calibrator on held-out training images.')
    parser.add_argument('checkpoint', help='checkpoint of the trained detector')
    parser.add_argument('--calibrator', default='NorCal', help='its type (default: NorCal)')
    parser.add_argument(
        '--sweep', metavar='NAME=FROM:TO:STEP', help='values to try, or NAME=VALUE,VALUE,... '
        "(default: the calibrator's own, for NorCal gamma=0:1.5:0.1)")
    parser.add_argument('--select', default='AP', metavar='AP',
                        help='what is to be highest, e.g. AP50 or APr (default: AP)')
    parser.add_argument('--share', type=float, default=0.1,
                        help='share of the training images that is held out (default: 0.1)')
    parser.add_argument('--min-images', type=int, default=5, help='held-out images of each class, '
                        'where it has as many (default: 5)')
    parser.add_argument('--seed', type=int, default=0, help='of the choice of images (default: 0)')
    parser.add_argument(
        '--holdout-ann', metavar='FILE', help='annotations of other images, which the detector was '
        'not trained on, in the image folder of the training set')
    parser.add_argument('--max-rois', type=int, default=300,
                        help='candidates kept of each image (default: 300)')
    return parser.parse_args()


def save(choice: Choice, folder: Path, select: str) -> None:
    """Print the curve and save it as a table and as a picture."""
    curve, groups = choice.curve, choice.classes.groups
    keys = list(dict.fromkeys(['AP', *(f'AP{group.key}' for group in groups), select]))
    name = choice.settings['type']
    print(curve.table(keys, select))
    curve.write_csv(folder / f'{name}.csv', keys)
    if curve.parameter is not None:
        draw_strength_curve(
            folder / f'{name}.png', curve.parameter, curve.values,
            {key: [result[key] for result in curve.results] for key in keys}, groups,
            choice.settings[curve.parameter], curve.plain)


def calibrate(args: argparse.Namespace) -> Path:
    """Calibrate; return the path of the config."""
    require_file(args.checkpoint, 'checkpoint')
    if args.launcher != 'none':
        raise ValueError('calibrate.py runs in one process. Leave --launcher out.')
    if args.holdout_ann is not None:
        require_file(args.holdout_ann, '--holdout-ann')
    cfg = read_config(args)
    plain = copy.deepcopy(cfg)
    init_default_scope(cfg.get('default_scope') or 'mmdet')
    resolve_work_dir(cfg, args.config, args.work_dir)
    cfg.work_dir = str(Path(cfg.work_dir, 'calibration'))
    folder = Path(cfg.work_dir)
    folder.mkdir(exist_ok=True)
    prepare_launch(cfg, args.launcher)
    with lock_work_dir(cfg.work_dir):
        return calibrate_in(folder, cfg, plain, args)


def calibrate_in(folder: Path, cfg: Config, plain: Config, args: argparse.Namespace) -> Path:
    """Calibrate with all files in a folder; return the path of the config.

    Args:
        folder: nobody else writes into it.
        cfg: of the run, changed in place.
        plain: the same as its file says it.
        args: of the command line.
    """
    change = open_roi_head(cfg)
    held_out = hold_images_out(cfg, folder, args.share, args.seed, args.min_images,
                               args.holdout_ann)
    choice = choose(cfg, args.checkpoint, args.calibrator, args.sweep, held_out, args.max_rois,
                    args.select)
    save(choice, folder, args.select)
    path = folder / f'{Path(args.config).stem}_{args.calibrator}.py'
    source = args.holdout_ann or 'images that it was trained on'
    write_calibrated_config(
        path, plain, choice, change, args.cfg_options,
        f'{args.calibrator}, chosen by {args.select} on {len(held_out.image_ids)} {source}.')
    return path


def main() -> None:
    """Calibrate; an error that the user can cure is one line."""
    args = parse_args()
    try:
        path = calibrate(args)
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print(f'Test with it: python tools/test.py {path} {args.checkpoint}')


if __name__ == '__main__':
    main()
