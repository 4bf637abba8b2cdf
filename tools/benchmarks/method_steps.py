"""CPU time of a classifier step with every loss, predictor and augmenter, against that of BCE.

All classify the same RoI features, compute their loss, the gradient of the classifier, and what
the method collects: the middle of a training, in which every class has been seen. Predictors and
augmenters are measured with a softmax loss, which all of them take. What a method does before its
step, such as the meta step of BALMS, and boxes are not in it.
"""

import argparse
import time
from collections.abc import Callable, Iterable
from statistics import median

import bacl  # noqa: F401
import numpy as np
import torch
from bacl.annotations import ClassTable
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.models.augmenters import ExtraSamples, FeatureAugmenter, Samples
from bacl.models.losses import LongTailLoss
from bacl.models.losses.head_contract import tell_classifiers
from bacl.models.predictors import ClassPredictor
from bacl.models.roi_heads.classifier_tap import ClassifierTap
from classifier_step import NUM_FEATS, NUM_OBJECTS, NUM_ROIS, Head, draw_samples
from mmdet.registry import MODELS
from reporting import add_arguments, row, run, time_in_turn
from torch import Tensor, nn

BASELINE, SOFTMAX = 'ObjectnessBCELoss', 'SoftmaxCELoss'
LIMIT = '<= 1.5'
NUM_PARENTS = (25, 50, 108)  # of the trees of Forest R-CNN
FREQUENCY = dict(type='ImageFrequency')
# What a part is not built without.
SETTINGS = {'FeatureHallucinator': dict(indicator=FREQUENCY),
            'MemorySampler': dict(indicator=FREQUENCY),
            'ForestLoss': dict(num_parents=NUM_PARENTS),
            'ForestLinear': dict(num_parents=()), 'TextCosineLinear': dict(embed_dims=512)}
# The classifier that a loss is not trained without.
PREDICTORS = {'C2AMLoss': 'CosineLinear'}


def registered(base: type) -> list[str]:
    """Return the names of all components with a base class."""
    return sorted(name for name, component in MODELS.module_dict.items()
                  if isinstance(component, type) and issubclass(component, base))


def long_tailed_table(num_classes: int) -> ClassTable:
    """Return classes of 1 to 10,000 images each, as many of every order of magnitude."""
    counts = np.geomspace(1, 10_000, num_classes).astype(int)
    return ClassTable(tuple(map(str, range(num_classes))), counts, counts, num_images=100_000,
                      groups=LVIS_GROUPS, group=np.searchsorted([10, 100], counts))


class MethodStep:
    """The step of a method, called without arguments.

    Args:
        num_classes: C.
        loss: name of the loss.
        predictor: name of the predictor; None is a linear layer.
        augmenter: name of the augmenter, or None.
    """

    def __init__(self, num_classes: int, loss: str, predictor: str | None = None,
                 augmenter: str | None = None) -> None:
        self.labels, self.feats, boxes = draw_samples(
            num_classes, NUM_OBJECTS, torch.Generator().manual_seed(0))
        settings = SETTINGS.get(loss, {})
        if 'num_parents' in settings:
            settings = settings | dict(trees=[[label % parents for label in range(num_classes)]
                                              for parents in settings['num_parents']])
        self.head = Head(MODELS.build(dict(type=loss, num_classes=num_classes, **settings)))
        predictor = predictor or PREDICTORS.get(loss)
        if predictor:
            self.head.fc_cls = MODELS.build(dict(
                type=predictor, in_features=NUM_FEATS, out_features=num_classes + 1,
                **SETTINGS.get(predictor, {})))
        tell_classifiers(self.head)
        self.augmenter = augmenter and MODELS.build(dict(
            type=augmenter, num_classes=num_classes, num_feats=NUM_FEATS,
            **SETTINGS.get(augmenter, {})))
        self.boxes = None
        if getattr(self.augmenter, 'box_generator', None):
            self.boxes = boxes._replace(box_targets=torch.zeros(len(boxes.labels), 4))
        self._prepare(num_classes)

    def _prepare(self, num_classes: int) -> None:
        """Bring all state to the middle of a training."""
        parts = nn.ModuleList([self.head] + [self.augmenter] * bool(self.augmenter))
        for module in parts.modules():
            if hasattr(module, 'set_text_embeddings'):
                module.set_text_embeddings(torch.randn(module.text_embeddings.shape))
            if hasattr(module, 'set_class_counts'):
                module.set_class_counts(long_tailed_table(num_classes))
        for module in parts.modules():
            if hasattr(module, 'start_epoch'):
                module.start_epoch(100)
        every_class, given = torch.arange(num_classes).repeat(2), (self.labels, self.feats)
        for labels in every_class.split(NUM_ROIS):
            self.labels, self.feats = labels, torch.randn(len(labels), NUM_FEATS)
            self()
        self.labels, self.feats = given

    def __call__(self) -> None:
        """Forward pass, backward pass, and what the method learns."""
        head, augmenter, num_rois = self.head, self.augmenter, len(self.labels)
        weights = torch.ones(num_rois)
        head.zero_grad()
        if augmenter is None:
            head.loss_cls(head.fc_cls(self.feats), self.labels, weights,
                          avg_factor=num_rois).backward()
            if hasattr(head.fc_cls, 'observe'):
                head.fc_cls.observe(self.feats, self.labels)
            return
        feats = self.feats if self.boxes is None else torch.cat([self.feats, self.boxes.feats])
        with ClassifierTap(head, num_rois, self._exchange,
                           lambda *sample: augmenter.observe(*sample, num_rois=num_rois)):
            head.loss_cls(head.fc_cls(feats), self.labels, weights, avg_factor=num_rois).backward()

    def _exchange(self, feats: Tensor, box_feats: Tensor) -> ExtraSamples:
        indicator, no_targets = self.augmenter.indicator, torch.zeros(len(feats), 4)
        return self.augmenter(Samples(feats, self.labels, no_targets),
                              self.boxes and self.boxes._replace(feats=box_feats),
                              None if indicator is None else indicator.strength())


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--num-classes', type=int, default=1203, help='default: LVIS v1')
    parser.add_argument('--rounds', type=int, default=15)
    add_arguments(parser)
    args = parser.parse_args(argv)
    if args.quick:
        args.num_classes, args.rounds = 50, 1
    return args


def all_steps(num_classes: int) -> dict[str, Callable[[], None]]:
    """Return the step of every registered part, by its name; that of the baseline comes first."""
    losses = [BASELINE, *(name for name in registered(LongTailLoss) if name != BASELINE)]
    return {
        **{name: MethodStep(num_classes, name) for name in losses},
        **{name: MethodStep(num_classes, SOFTMAX, predictor=name)
           for name in registered(ClassPredictor)},
        **{name: MethodStep(num_classes, SOFTMAX, augmenter=name)
           for name in registered(FeatureAugmenter)}}


def measure(args: argparse.Namespace) -> Iterable[dict]:
    """Yield the rows."""
    torch.manual_seed(0)
    # The time of this process: that of a clock is the other jobs', too.
    seconds = time_in_turn(all_steps(args.num_classes), args.rounds, time.process_time)
    baseline = seconds.pop(BASELINE)
    yield row(f'step of {BASELINE}, C = {args.num_classes}', 1000 * median(baseline), 'ms')
    for name, times in seconds.items():
        ratio = median(own / other for own, other in zip(times, baseline, strict=True))
        yield row(f'{name} / {BASELINE}', ratio, 'x time', LIMIT)


if __name__ == '__main__':
    run(parse_args(), measure)
