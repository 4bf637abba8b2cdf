"""Test a detector; write its metrics to `metrics.json` in the work_dir."""

import argparse
import json
import math
from pathlib import Path

from bacl.engine.checking.config_check import check_config
from bacl.engine.running.dataset_configs import skip_unreadable_images
from bacl.engine.running.launch import LAUNCHERS, leave_process_group, prepare_launch
from bacl.engine.running.tta import prepare_tta
from bacl.engine.running.work_dir import require_file, resolve_work_dir
from mmdet.engine.hooks.utils import trigger_visualization_hook
from mmdet.evaluation import DumpDetResults
from mmengine.config import Config, DictAction
from mmengine.dist import is_main_process
from mmengine.registry import RUNNERS
from mmengine.runner import Runner


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Test a detector.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--work-dir', help='folder for logs and metrics.json (default: work_dirs/<config name>)')
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
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
        help='override settings of the config, e.g. test_dataloader.batch_size=1 key="[a,b]"')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='job launcher')
    # torch.distributed.launch passes it; torchrun sets the environment variable instead.
    parser.add_argument('--local-rank', '--local_rank', type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def load_config(args: argparse.Namespace) -> Config:
    """Return the config with the command line applied, everything that can fail early checked."""
    require_file(args.config, 'config')
    require_file(args.checkpoint, 'checkpoint')
    if args.out is not None and not args.out.endswith(('.pkl', '.pickle')):
        raise ValueError(f'--out expects a file named *.pkl or *.pickle, got {args.out!r}.')
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    check_config(cfg)
    cfg.resume = False
    cfg.load_from = args.checkpoint
    if args.skip_unreadable:
        skip_unreadable_images(cfg)
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
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    if args.out is not None:
        runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=args.out))
    metrics = runner.test()
    if is_main_process():
        write_metrics(metrics, Path(cfg.work_dir, 'metrics.json'))
    leave_process_group()


if __name__ == '__main__':
    main()
