"""Run what is frozen in a detector over all its images once, for stages 2 that take seconds."""
import argparse
import sys
from pathlib import Path

from bacl.engine.running.run_lock import lock_work_dir
from bacl.engine.running.work_dir import require_file
from bacl.feature_bank import BankOptions, build_feature_bank
from mmengine.config import Config, DictAction


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    default = BankOptions()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('config', help='config of stage 1, or of a stage 2 on it')
    parser.add_argument('checkpoint', help='checkpoint of stage 1')
    parser.add_argument('--out', required=True, help='folder of the bank; one begun goes on')
    parser.add_argument('--views', type=int, default=default.views,
                        help='of each training image: plain, flipped, and so on')
    parser.add_argument('--jitters', type=int, default=default.jitters,
                        help='draws of sixteen jittered boxes of each ground truth, for FHM')
    parser.add_argument('--negatives', type=int, default=default.negatives, metavar='N',
                        help='background proposals that are kept of each image (None: all)')
    parser.add_argument('--dtype', choices=('float16', 'float32'), default=default.dtype,
                        help='of the features')
    parser.add_argument('--seed', type=int, default=default.seed, help='of all that is drawn')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={},
                        metavar='KEY=VALUE', help='override settings of the config')
    return parser.parse_args()


def build(args: argparse.Namespace) -> None:
    """Build, or go on building."""
    require_file(args.config, 'config')
    require_file(args.checkpoint, 'checkpoint')
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options)
    options = BankOptions(args.views, args.jitters, args.negatives, args.dtype, args.seed)
    Path(args.out).mkdir(parents=True, exist_ok=True)
    with lock_work_dir(args.out, '--out'):
        build_feature_bank(cfg, args.checkpoint, args.out, options,
                           lambda line: print(line, flush=True))


def main() -> None:
    """Build; an error that the user can cure is one line."""
    args = parse_args()
    try:
        build(args)
    except (TypeError, ValueError, RuntimeError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    except KeyboardInterrupt:
        sys.exit('Interrupted. The same command goes on.')


if __name__ == '__main__':
    main()
