"""Train a detector: one process on the CPU or a GPU, or as one of many under a launcher."""

import argparse
import contextlib
import sys

from bacl.engine.running.amp import DTYPES, prepare_amp
from bacl.engine.running.command_line import build_runner, read_config, run_parser
from bacl.engine.running.launch import is_main_rank, prepare_launch
from bacl.engine.running.restart import agree_on_start
from bacl.engine.running.run_lock import lock_work_dir
from bacl.engine.running.stage1 import prepare_stage1
from bacl.engine.running.work_dir import find_checkpoint, prepare_resume, resolve_work_dir
from bacl.feature_bank import checkpoint_of_bank, to_feature_bank
from mmengine.config import Config


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = run_parser('Train a detector.', feature_bank=True)
    parser.add_argument(
        '--stage1-checkpoint', metavar='PATH|auto',
        help='stage-2 configs only: checkpoint or work_dir of stage 1 (default: the newest '
        'checkpoint of the folder named after the stage-1 config, beside the work_dir)')
    parser.add_argument(
        '--resume', nargs='?', const='auto', metavar='PATH',
        help='go on from this checkpoint, or without a value from the newest in the work_dir')
    parser.add_argument('--seed', type=int, help='seed of all random numbers')
    parser.add_argument(
        '--amp', nargs='?', const='auto', choices=('auto', *DTYPES), metavar='|'.join(DTYPES),
        help='train with mixed precision (without a value: float16 on a GPU, bfloat16 on a CPU)')
    parser.add_argument(
        '--auto-scale-lr', action='store_true',
        help="scale the learning rate by the real batch size over the config's base_batch_size")
    return parser.parse_args()


def load_config(args: argparse.Namespace) -> Config:
    """Return the config with the command line applied, everything that can fail early checked."""
    cfg = read_config(args)
    if args.seed is not None:
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=args.seed)
    if args.amp is not None:
        prepare_amp(cfg, args.amp)
    if args.auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            raise ValueError('--auto-scale-lr expects `auto_scale_lr.base_batch_size` in the '
                             f'config, got {args.config!r} without it.')
        cfg.auto_scale_lr.enable = True
    resolve_work_dir(cfg, args.config, args.work_dir)
    prepare_resume(cfg, args.resume)
    stage1 = args.stage1_checkpoint
    if args.feature_bank and not (stage1 or cfg.get('resume') or cfg.get('load_from')):
        stage1 = checkpoint_of_bank(args.feature_bank)
    prepare_stage1(cfg, stage1)
    if args.feature_bank:
        to_feature_bank(cfg, args.feature_bank)
    prepare_launch(cfg, args.launcher)
    return cfg


def train(cfg: Config) -> None:
    """Train; Ctrl-C ends it with a line on how to go on."""
    try:
        runner = build_runner(cfg)
        agree_on_start(runner)
        runner.train()
    except KeyboardInterrupt:
        checkpoint = find_checkpoint(cfg.work_dir)
        if is_main_rank(cfg.launcher):
            print('\nInterrupted. ' + (
                f'There is no checkpoint yet in {cfg.work_dir}.' if checkpoint is None else
                f'The newest checkpoint is {checkpoint}; --resume goes on from it.'),
                file=sys.stderr)
        sys.exit(130)  # as a shell reports it


def main() -> None:
    """Train, alone in the work_dir."""
    cfg = load_config(parse_args())
    with lock_work_dir(cfg.work_dir) if is_main_rank(cfg.launcher) else contextlib.nullcontext():
        train(cfg)


if __name__ == '__main__':
    main()
