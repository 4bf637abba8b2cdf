"""Test a detector; write its metrics to `metrics.json` in the work_dir."""

import argparse
import json
import math
from pathlib import Path

from bacl.engine.running.command_line import build_runner, read_config, run_parser
from bacl.engine.running.dataset_configs import skip_unreadable_images
from bacl.engine.running.launch import prepare_launch
from bacl.engine.running.tta import prepare_tta
from bacl.engine.running.work_dir import require_file, resolve_work_dir
from bacl.feature_bank import to_feature_bank
from mmdet.engine.hooks.utils import trigger_visualization_hook
from mmdet.evaluation import DumpDetResults
from mmengine.config import Config
from mmengine.dist import is_main_process


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = run_parser('Test a detector.', feature_bank=True)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', metavar='FILE.pkl', help='also save the predictions as a pickle')
    parser.add_argument('--show', action='store_true', help='show each image with its detections')
    parser.add_argument(
        '--show-dir', help='save each image with its detections, in <work_dir>/<time>/SHOW_DIR')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds that --show waits')
    parser.add_argument(
        '--skip-unreadable', action='store_true',
        help='go on without images that are missing or cannot be read, and name them '
        "(this package's datasets only)")
    parser.add_argument(
        '--tta', action='store_true',
        help='merge the detections of several views of each image: those of tta_pipeline and '
        'tta_model, or, if the config has none, plain and flipped')
    return parser.parse_args()


def load_config(args: argparse.Namespace) -> Config:
    """Return the config with the command line applied, everything that can fail early checked."""
    require_file(args.checkpoint, 'checkpoint')
    if args.out is not None and not args.out.endswith(('.pkl', '.pickle')):
        raise ValueError(f'--out expects a file named *.pkl or *.pickle, got {args.out!r}.')
    cfg = read_config(args)
    cfg.resume = False
    cfg.load_from = args.checkpoint
    if args.skip_unreadable:
        skip_unreadable_images(cfg)
    if args.feature_bank:
        if args.tta or args.skip_unreadable:
            raise ValueError('--feature-bank has one view of each image, and reads none: leave '
                             'out --tta and --skip-unreadable.')
        to_feature_bank(cfg, args.feature_bank, training=False)
    if args.tta:
        prepare_tta(cfg)
    if args.show or args.show_dir:
        cfg = trigger_visualization_hook(cfg, args)
    resolve_work_dir(cfg, args.config, args.work_dir)
    prepare_launch(cfg, args.launcher)
    return cfg


def write_metrics(metrics: dict[str, float], path: Path) -> None:
    """Save metrics as strict JSON: NaN, the value of a group without categories, becomes null."""
    finite = {name: None if math.isnan(value) else value for name, value in metrics.items()}
    path.write_text(json.dumps(finite, indent=2) + '\n')


def main() -> None:
    """Test."""
    args = parse_args()
    cfg = load_config(args)
    runner = build_runner(cfg)
    if args.out is not None:
        runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=args.out))
    metrics = runner.test()
    if is_main_process():
        write_metrics(metrics, Path(cfg.work_dir, 'metrics.json'))


if __name__ == '__main__':
    main()
