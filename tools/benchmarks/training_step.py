"""Time of a training step of stage 2 on Emoji-LT mini: BACL against plain cross entropy.

Whole steps of the two configs on the same real batches: preprocessing, forward and backward pass,
optimizer. Loading is not included. Needs the data set (`tools/dataset_tools/build_emoji_lt.py`);
with `--checkpoint` of stage 1 the proposals and positives are those of real training.
"""

import argparse
from collections.abc import Iterable
from itertools import cycle, islice

import bacl  # noqa: F401
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, load_checkpoint
from reporting import add_arguments, compare, run, time_in_turn

CONFIGS = {
    'plain BCE': 'configs/bacl/faster-rcnn_effnet-lite0_emoji-lt-{preset}_stage2-bce.py',
    'BACL': 'configs/bacl/faster-rcnn_effnet-lite0_emoji-lt-{preset}_stage2-bacl.py',
}


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--checkpoint', help='of stage 1; default: random weights')
    parser.add_argument('--preset', choices=('mini', 'smoke'), default='mini')
    parser.add_argument('--batches', type=int, default=4, help='that the steps take in turn')
    parser.add_argument('--rounds', type=int, default=12)
    add_arguments(parser)
    args = parser.parse_args(argv)
    if args.quick:
        args.preset, args.batches, args.rounds = 'smoke', 1, 5
    return args


class Training:
    """Steps of one config."""

    def __init__(self, config: Config, checkpoint: str | None, batches: list[dict]) -> None:
        torch.manual_seed(0)
        self.model = MODELS.build(config.model)
        self.model.init_weights()
        if checkpoint:
            load_checkpoint(self.model, checkpoint, map_location='cpu')
        self.model.train()
        self.optimizer = build_optim_wrapper(self.model, config.optim_wrapper)
        self.batches = cycle(batches)

    def step(self) -> None:
        """Train on the next batch."""
        self.model.train_step(next(self.batches), self.optimizer)


def measure(args: argparse.Namespace) -> Iterable[dict]:
    """Yield the rows."""
    init_default_scope('mmdet')
    configs = {name: Config.fromfile(path.format(preset=args.preset))
               for name, path in CONFIGS.items()}
    loader = dict(configs['BACL'].train_dataloader, num_workers=0, persistent_workers=False)
    batches = list(islice(Runner.build_dataloader(loader, seed=0), args.batches))
    trainings = {name: Training(config, args.checkpoint, batches)
                 for name, config in configs.items()}
    seconds = time_in_turn({name: training.step for name, training in trainings.items()},
                           args.rounds)
    yield from compare(f'stage-2 step, Emoji-LT {args.preset}', seconds, 'BACL', 'plain BCE',
                       '<= 1.10')


if __name__ == '__main__':
    run(parse_args(), measure)
