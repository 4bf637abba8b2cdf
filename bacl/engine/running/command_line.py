"""The common part of training and testing from the command line."""
import argparse

from mmengine.config import Config, DictAction
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..checking.config_check import check_config
from .launch import LAUNCHERS
from .work_dir import require_file


def run_parser(description: str, feature_bank: bool = False) -> argparse.ArgumentParser:
    """A parser for the config of a run, and for what any run may be told.

    Args:
        description: what the tool does.
        feature_bank: whether it can read a feature bank.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir', help='folder for all that is written (default: work_dirs/<config name>)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE',
        help='override settings of the config, e.g. test_dataloader.batch_size=1 key="[a,b]"')
    if feature_bank:
        parser.add_argument(
            '--feature-bank', metavar='DIR',
            help='read all that is frozen in the detector from this folder, which '
            'tools/build_feature_bank.py wrote')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='job launcher')
    # torch.distributed.launch passes it; torchrun sets the environment variable instead.
    parser.add_argument('--local-rank', '--local_rank', type=int, help=argparse.SUPPRESS)
    return parser


def read_config(args: argparse.Namespace) -> Config:
    """The config with the settings of the command line, its arguments checked.

    Args:
        args: of :func:`run_parser`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a component of this package would not take its arguments.
    """
    require_file(args.config, 'config')
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options)
    check_config(cfg)
    return cfg


def build_runner(cfg: Config) -> Runner:
    """The runner of a config: its ``runner_type``, else mmengine's.

    Args:
        cfg: of the run.
    """
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
