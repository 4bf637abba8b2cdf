"""Time of multi-class NMS on the scores of BACL: `bacl.ops.multiclass_nms` against mmdet's.

The image is generated: proposals lie around objects, and those of an object agree on its classes,
so that the best candidates suppress each other. As with BACL, 87 % of all boxes and classes score
above the threshold, 1.05 million of 1,000 proposals x 1,203 classes.

Both have to give the same detections before they are timed, digit by digit. Scores are therefore
all different, for mmdet leaves the order of equal ones open, and boxes have whole pixels: mmdet
tells classes apart by an offset to the coordinates, up to 1.6 million here, and float32 holds whole
numbers up to 16.8 million. Areas and unions are whole numbers below that, too, so that no overlap
lies on the wrong side of the threshold.
"""

import argparse
from collections.abc import Iterable

import torch
from bacl.ops import multiclass_nms
from mmdet.models.layers import multiclass_nms as mmdet_multiclass_nms
from reporting import add_arguments, compare, row, run, time_in_turn
from torch import Tensor

IMAGE_SIZE = (1333, 800)  # (w, h), pixels
NUM_OBJECTS = 40
LARGEST_SIDE = 400  # of an object, pixels
# Range in which an edge of a box lies, and of its differences by class, in sides of the object.
JITTER, CLASS_JITTER = 0.55, 0.1
SCORE_THR, IOU_THRESHOLD, MAX_PER_IMG = 1e-4, 0.5, 300  # of the LVIS configs
SHARE = 1.05 / 1.203  # of all boxes and classes that score above the threshold
LOGIT_STD = 2.0  # the best of a million scores is 0.95
OBJECT_SHARE = 0.8  # of the variance of the logits that proposals of an object have in common


def draw_boxes(num_rois: int, num_classes: int, is_per_class: bool,
               generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return boxes on whole pixels, (R, 4) or (R, C * 4), and the object (R,) they lie around."""
    size = torch.tensor(IMAGE_SIZE)
    side = 16 + torch.rand(NUM_OBJECTS, 2, generator=generator) * (LARGEST_SIDE - 16)
    corner = torch.rand(NUM_OBJECTS, 2, generator=generator) * (size - side)
    objects = torch.cat([corner, corner + side], dim=1)
    origin = torch.randint(NUM_OBJECTS, (num_rois,), generator=generator)
    # Of the pairs around an object half overlap by more than the threshold.
    jitter = torch.rand(num_rois, 1, 4, generator=generator) * JITTER
    if is_per_class:
        jitter = jitter + torch.rand(num_rois, num_classes, 4, generator=generator) * CLASS_JITTER
    jitter -= (JITTER + CLASS_JITTER * is_per_class) / 2
    boxes = objects[origin, None] + jitter * side.repeat(1, 2)[origin, None]
    return torch.minimum(boxes.round().clamp(min=0), size.repeat(2)).flatten(1), origin


def draw_scores(origin: Tensor, num_classes: int, generator: torch.Generator) -> Tensor:
    """Return scores of classes and, last, of background, (R, C + 1).

    The order of the scores is drawn; their values are quantiles of a normal distribution of logits,
    which are all different and of which exactly ``SHARE`` are above the threshold.

    Args:
        origin: (R,), the object of each proposal.
        num_classes: C.
        generator: of random numbers.
    """
    shape = (len(origin), num_classes)
    of_object = torch.randn(NUM_OBJECTS, num_classes, generator=generator)[origin]
    of_proposal = torch.randn(shape, generator=generator)
    order = (OBJECT_SHARE**0.5 * of_object + (1 - OBJECT_SHARE)**0.5 * of_proposal).flatten()
    num = order.numel()
    quantiles = torch.special.ndtri((torch.arange(num, dtype=torch.float64) + 0.5) / num)
    below = torch.special.ndtri(torch.tensor(1 - SHARE, dtype=torch.float64))
    logits = torch.tensor(SCORE_THR).double().logit() + LOGIT_STD * (quantiles - below)
    scores = torch.empty(num).scatter_(0, order.argsort(stable=True), logits.sigmoid().float())
    return torch.cat([scores.view(shape), torch.zeros(len(origin), 1)], dim=1)


def run_mmdet(boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return detections (K, 5) and labels (K,) as mmdet's ``StandardRoIHead`` does."""
    nms_cfg = dict(type='nms', iou_threshold=IOU_THRESHOLD)
    return mmdet_multiclass_nms(boxes, scores, SCORE_THR, nms_cfg, MAX_PER_IMG)


def run_bacl(boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return boxes, scores, labels and rows as ``LongTailRoIHead`` does."""
    return multiclass_nms(boxes, scores[:, :-1], SCORE_THR, IOU_THRESHOLD, MAX_PER_IMG)


def check_same(boxes: Tensor, scores: Tensor) -> None:
    """Raise an error unless both give the same detections in the same order."""
    detections, labels = run_mmdet(boxes, scores)
    our_boxes, our_scores, our_labels, _ = run_bacl(boxes, scores)
    ours = torch.cat([our_boxes, our_scores[:, None]], dim=1)
    if not (torch.equal(ours, detections) and torch.equal(our_labels, labels)):
        raise RuntimeError('bacl.ops.multiclass_nms and mmdet give different detections.')


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--proposals', type=int, default=1000)
    parser.add_argument('--num-classes', type=int, default=1203, help='default: LVIS v1')
    parser.add_argument('--rounds', type=int, default=5)
    add_arguments(parser)
    args = parser.parse_args(argv)
    if args.quick:
        args.proposals, args.num_classes = 60, 50
    return args


def measure(args: argparse.Namespace) -> Iterable[dict]:
    """Yield the rows."""
    for is_per_class in (False, True):
        generator = torch.Generator().manual_seed(0)
        boxes, origin = draw_boxes(args.proposals, args.num_classes, is_per_class, generator)
        image = boxes, draw_scores(origin, args.num_classes, generator)
        check_same(*image)
        name = f'NMS, {args.proposals} x {args.num_classes}'
        name += ', boxes of each class' if is_per_class else ''
        yield row(f'{name}, candidates', (image[1][:, :-1] > SCORE_THR).sum().item(), 'boxes')
        seconds = time_in_turn({'mmdet': lambda image=image: run_mmdet(*image),
                                'BACL': lambda image=image: run_bacl(*image)}, args.rounds)
        yield from compare(name, seconds, 'BACL', 'mmdet', None if is_per_class else '>= 100',
                           speed=True)


if __name__ == '__main__':
    run(parse_args(), measure)
