"""Time of a training step: BACL and soft labels against plain losses, in MMDetection and here.

Whole steps on the same batches: preprocessing, forward and backward pass, optimizer; loading is not
included. `mmdet` is what a user has without this package: detector, RPN, RoI head and RoI extractor
are MMDetection's, the same parameters learn (the others have `requires_grad=False`), batch norms
are in evaluation mode; backbone and loss are those of the checkpoint. `plain BCE` is the same loss
with this package's frozen extractor.

On Emoji-LT the configs are those of the quickstart and the batches real: build the data set with
`tools/dataset_tools/build_emoji_lt.py`; with `--checkpoint` of stage 1, proposals and positives are
those of real training. The step of LVIS v1, ResNet-50 at 1333 x 800, has random weights and an
image of noise with 12 objects; its plain twins have another loss and no hallucination.

The fine-tuning step is that of stage 1, on images with boxes, with and without the semantic branch
and soft labels of RichSem. The teacher is a random one, which takes hardly any time, as a cached
one should.
"""

import argparse
import copy
from collections.abc import Iterable
from itertools import cycle, islice

import bacl  # noqa: F401
import torch
from method_steps import long_tailed_table
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
TARGET = '<= 0.8'  # BACL / mmdet
STAGE1 = 'configs/baselines/faster-rcnn_effnet-lite0_emoji-lt-{preset}_stage1.py'
EMBED_DIMS = 384  # of the texts of ConSETeacher
SOFT_LABEL_TARGET = '<= 1.3'  # soft labels / plain


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
        args.preset, args.batches, args.rounds, args.skip_lvis = 'smoke', 1, 2, True
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

    def freeze_like(self, other: 'Training') -> 'Training':
        """Let the parameters learn that learn in another training of the same detector."""
        learns = {name: p.requires_grad for name, p in other.model.named_parameters()}
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(learns[name])
        return self

    def step(self) -> None:
        """Train on the next batch."""
        self.model.train_step(next(self.batches), self.optimizer)


def of_mmdet(config: Config) -> Config:
    """A config with MMDetection's own detector in place of this package's."""
    config = copy.deepcopy(config)
    model = config.model
    model.type = 'FasterRCNN'
    model.rpn_head.type = 'RPNHead'
    model.roi_head.type = 'StandardRoIHead'
    model.roi_head.pop('hallucinator', None)
    model.roi_head.bbox_roi_extractor.type = 'SingleRoIExtractor'
    return config


def trainings_of(plain: Config, balanced: Config, checkpoint: str | None,
                 batches: list[dict]) -> dict[str, Training]:
    """Return the trainings that are compared, on the same batches."""
    ours = Training(plain, checkpoint, batches)
    return {'mmdet': Training(of_mmdet(plain), checkpoint, batches).freeze_like(ours),
            'plain BCE': ours, 'BACL': Training(balanced, checkpoint, batches)}


def emoji_lt_trainings(args: argparse.Namespace) -> dict[str, Training]:
    """Return trainings of Emoji-LT on the same batches."""
    configs = {name: Config.fromfile(path.format(preset=args.preset))
               for name, path in EMOJI_LT.items()}
    return trainings_of(configs['plain BCE'], configs['BACL'], args.checkpoint,
                        read_batches(configs['BACL'], args.batches))


def read_batches(config: Config, number: int) -> list[dict]:
    """Return batches of the training data of a config."""
    loader = dict(config.train_dataloader, num_workers=0, persistent_workers=False)
    return list(islice(Runner.build_dataloader(loader, seed=0), number))


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
    return trainings_of(plain, balanced, None, [batch])


def with_soft_labels(config: Config) -> Config:
    """A config with a random teacher and the semantic branch of RichSem."""
    config = copy.deepcopy(config)
    model = config.model
    model.type = 'ImageSupervisedDetector'
    model.teacher = dict(type='RandomTeacher', embed_dims=EMBED_DIMS, scale=5.0)
    model.roi_head.type = 'ImageSupervisedRoIHead'
    model.roi_head.semantic_branch = dict(
        type='TextCosineLinear', embed_dims=EMBED_DIMS, scale=5.0)
    return config


def fine_tunings(args: argparse.Namespace) -> dict[str, Training]:
    """Return trainings of all layers of stage 1 on the same batches of Emoji-LT."""
    config = Config.fromfile(STAGE1.format(preset=args.preset))
    batches = read_batches(config, args.batches)
    taught = Training(with_soft_labels(config), args.checkpoint, batches)
    taught.model.set_class_counts(
        long_tailed_table(config.model.roi_head.bbox_head.num_classes))
    return {'plain': Training(config, args.checkpoint, batches), 'soft labels': taught}


def measure(args: argparse.Namespace) -> Iterable[dict]:
    """Yield the rows."""
    init_default_scope('mmdet')
    cases = [(f'Emoji-LT {args.preset}', emoji_lt_trainings(args), args.rounds)]
    if not args.skip_lvis:
        cases.append(('LVIS v1, R50', lvis_trainings(), LVIS_ROUNDS))
    for name, trainings, rounds in cases:
        seconds = time_in_turn({side: training.step for side, training in trainings.items()},
                               rounds)
        yield from compare(f'stage-2 step, {name}', seconds, 'BACL', 'mmdet', TARGET)
        *_, plain, ratio = compare(f'stage-2 step, {name}', seconds, 'plain BCE', 'mmdet', None)
        yield from (plain, ratio)
    seconds = time_in_turn({side: training.step for side, training in fine_tunings(args).items()},
                           args.rounds)
    yield from compare(f'fine-tuning step, Emoji-LT {args.preset}', seconds, 'soft labels', 'plain',
                       SOFT_LABEL_TARGET)


if __name__ == '__main__':
    run(parse_args(), measure)
