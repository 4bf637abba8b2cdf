"""Time of a training step of stage 2: BACL against plain cross entropy.

Whole steps on the same batches: preprocessing, forward and backward pass, optimizer; loading is not
included. On Emoji-LT the configs are those of the quickstart and the batches real: build the data
set with `tools/dataset_tools/build_emoji_lt.py`; with `--checkpoint` of stage 1, proposals and
positives are those of real training. The step of LVIS v1, ResNet-50 at 1333 x 800, has random
weights and an image of noise with 12 objects; its plain twin has another loss and no hallucination.
"""

import argparse
from collections.abc import Iterable
from itertools import cycle, islice

import bacl  # noqa: F401
import torch
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, load_checkpoint
from reporting import add_arguments, compare, run, time_in_turn

EMOJI_LT = {
    'plain BCE': 'configs/baselines/faster-rcnn_effnet-lite0_emoji-lt-{preset}_stage2-bce.py',
    'BACL': 'configs/bacl/faster-rcnn_effnet-lite0_emoji-lt-{preset}_stage2-bacl.py',
}
LVIS = 'configs/bacl/faster-rcnn_r50_fpn_bacl-stage2_lvis-v1.py'
LVIS_SHAPE, LVIS_OBJECTS = (3, 800, 1333), 12  # objects of an image
LVIS_ROUNDS = 5


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--checkpoint', help='of stage 1; default: random weights')
    parser.add_argument('--preset', choices=('mini', 'smoke'), default='mini')
    parser.add_argument('--batches', type=int, default=4, help='that the steps take in turn')
    parser.add_argument('--rounds', type=int, default=12)
    parser.add_argument('--skip-lvis', action='store_true', help='for the minutes that it takes')
    add_arguments(parser)
    args = parser.parse_args(argv)
    if args.quick:
        args.preset, args.batches, args.rounds, args.skip_lvis = 'smoke', 1, 5, True
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


def emoji_lt_trainings(args: argparse.Namespace) -> dict[str, Training]:
    """Return trainings of Emoji-LT on the same batches."""
    configs = {name: Config.fromfile(path.format(preset=args.preset))
               for name, path in EMOJI_LT.items()}
    loader = dict(configs['BACL'].train_dataloader, num_workers=0, persistent_workers=False)
    batches = list(islice(Runner.build_dataloader(loader, seed=0), args.batches))
    return {name: Training(config, args.checkpoint, batches) for name, config in configs.items()}


def lvis_trainings() -> dict[str, Training]:
    """Return trainings of LVIS v1 on the same image."""
    balanced, plain = Config.fromfile(LVIS), Config.fromfile(LVIS)
    plain.model.roi_head.hallucinator = None
    num_classes = balanced.model.roi_head.bbox_head.num_classes
    plain.model.roi_head.bbox_head.loss_cls = dict(type='ObjectnessBCELoss',
                                                   num_classes=num_classes)
    batch = demo_mm_inputs(1, [LVIS_SHAPE], num_items=[LVIS_OBJECTS], num_classes=num_classes)
    for config in (balanced, plain):
        config.model.backbone.init_cfg = None
    return {name: Training(config, None, [batch])
            for name, config in (('plain BCE', plain), ('BACL', balanced))}


def measure(args: argparse.Namespace) -> Iterable[dict]:
    """Yield the rows."""
    init_default_scope('mmdet')
    cases = [(f'Emoji-LT {args.preset}', emoji_lt_trainings(args), args.rounds)]
    if not args.skip_lvis:
        cases.append(('LVIS v1, R50', lvis_trainings(), LVIS_ROUNDS))
    for name, trainings, rounds in cases:
        seconds = time_in_turn({side: training.step for side, training in trainings.items()},
                               rounds)
        yield from compare(f'stage-2 step, {name}', seconds, 'BACL', 'plain BCE', '<= 1.10')


if __name__ == '__main__':
    run(parse_args(), measure)
