"""Time of what a step of stage 2 does with its classifier: BACL against plain cross entropy.

Both classify the same RoI features, compute their loss and the gradient of the classifier. BACL
also updates the class feature statistics with the features of jittered ground-truth boxes, draws
features of weak classes, classifies them, too, and updates its indicator.
"""

import argparse
from collections.abc import Iterable
from statistics import median

import bacl  # noqa: F401
import torch
from bacl.models.augmenters import ExtraSamples, FeatureHallucinator, Samples
from bacl.models.losses import FCBL, ObjectnessBCELoss
from bacl.models.roi_heads.classifier_tap import ClassifierTap
from reporting import add_arguments, compare, row, run, time_in_turn
from torch import Tensor, nn

NUM_ROIS, NUM_FEATS = 1024, 1024  # two images, as in the LVIS configs
FOREGROUND_SHARE = 4  # a quarter of the RoIs, as the sampler draws them
NUM_OBJECTS = 24  # 12 in an image, each of another class: more than LVIS has on average
JITTERS = 16  # boxes around an object
PRIOR = 0.001  # of a class at the start of training


class Head(nn.Module):
    """The parts of a box head that the step needs."""

    with_reg = False

    def __init__(self, loss_cls: nn.Module) -> None:
        super().__init__()
        self.num_classes = loss_cls.num_classes
        self.fc_cls = nn.Linear(NUM_FEATS, loss_cls.num_channels)
        nn.init.normal_(self.fc_cls.weight, std=0.01)
        nn.init.constant_(self.fc_cls.bias, torch.tensor(PRIOR).logit())
        self.loss_cls = loss_cls


def draw_samples(num_classes: int, num_objects: int,
                 generator: torch.Generator) -> tuple[Tensor, Tensor, Samples]:
    """Return labels and features of the RoIs of a batch, and of jittered ground-truth boxes."""
    classes = torch.randperm(num_classes, generator=generator)[:num_objects]
    labels = torch.full((NUM_ROIS,), num_classes)
    rows = torch.randperm(NUM_ROIS, generator=generator)[:NUM_ROIS // FOREGROUND_SHARE]
    labels[rows] = classes[torch.randint(num_objects, (len(rows),), generator=generator)]
    feats = torch.randn(NUM_ROIS, NUM_FEATS, generator=generator).relu()
    gt_labels = classes.repeat_interleave(JITTERS)
    gt_feats = torch.randn(len(gt_labels), NUM_FEATS, generator=generator).relu()
    return labels, feats, Samples(gt_feats, gt_labels)


class Step:
    """A step of a plain and of a BACL classifier on the same features."""

    def __init__(self, num_classes: int, num_objects: int, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.num_rois = NUM_ROIS
        self.labels, self.feats, (self.gt_feats, self.gt_labels, _) = draw_samples(
            num_classes, num_objects, generator)
        self.all_feats = torch.cat([self.feats, self.gt_feats])
        self.plain, self.bacl = Head(ObjectnessBCELoss(num_classes)), Head(FCBL(num_classes))
        self.hallucinator = FeatureHallucinator(num_classes, NUM_FEATS)
        # As in the middle of training: every class is known and has been confused.
        every_class = torch.arange(num_classes).repeat(2)
        self.hallucinator.distribution.observe(
            torch.randn(len(every_class), NUM_FEATS, generator=generator), every_class)
        for labels in every_class.split(NUM_ROIS):
            self.bacl.loss_cls.indicator.observe(
                torch.randn(len(labels), num_classes + 1, generator=generator), labels)

    def observe(self) -> None:
        """Update the statistics."""
        self.hallucinator.distribution.observe(self.gt_feats, self.gt_labels)

    def hallucinate(self) -> ExtraSamples:
        """Sample classes and generate features."""
        return self.hallucinator.hallucinate(self.bacl.loss_cls.indicator.strength())

    def run_plain(self) -> None:
        """Forward and backward pass of the baseline."""
        self._train(self.plain, self.plain.fc_cls(self.feats))

    def run_bacl(self) -> None:
        """The same of BACL, with all that its RoI head adds."""

        def exchange(feats: Tensor, gt_feats: Tensor) -> ExtraSamples:
            return self.hallucinator(Samples(feats, self.labels),
                                     Samples(gt_feats, self.gt_labels),
                                     self.bacl.loss_cls.indicator.strength())

        with ClassifierTap(self.bacl, self.num_rois, exchange):
            self._train(self.bacl, self.bacl.fc_cls(self.all_feats))

    def _train(self, head: Head, cls_score: Tensor) -> None:
        head.zero_grad()
        weights = torch.ones(self.num_rois)
        head.loss_cls(cls_score, self.labels, weights, avg_factor=self.num_rois).backward()


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--num-classes', type=int, nargs='+', default=[1203, 13204],
                        help='default: LVIS v1 and V3Det')
    parser.add_argument('--objects', type=int, default=NUM_OBJECTS, help='in a batch')
    parser.add_argument('--rounds', type=int, default=15)
    add_arguments(parser)
    args = parser.parse_args(argv)
    if args.quick:
        args.num_classes, args.rounds = [50], 5
    return args


def measure(args: argparse.Namespace) -> Iterable[dict]:
    """Yield the rows."""
    torch.manual_seed(0)
    for number, num_classes in enumerate(args.num_classes):
        step = Step(num_classes, args.objects)
        seconds = time_in_turn({'plain BCE': step.run_plain, 'BACL': step.run_bacl}, args.rounds)
        target = '<= 1.2' if number == 0 else None
        yield from compare(f'classifier step, C = {num_classes}', seconds, 'BACL', 'plain BCE',
                           target)
        parts = time_in_turn({
            'statistics': step.observe,
            'sampling and generation': step.hallucinate,
            'all parts': lambda step=step: (step.observe(), step.hallucinate()),
        }, 5 * args.rounds)
        boxes = len(step.gt_labels)
        for name, times in parts.items():
            is_limited = name == 'all parts' and number == 0
            yield row(f'FHM, {name}, {boxes} boxes, C = {num_classes}', 1000 * median(times), 'ms',
                      '<= 1' if is_limited else None)


if __name__ == '__main__':
    run(parse_args(), measure)
