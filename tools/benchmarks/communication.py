"""Bytes that a rank hands to its peers in a step of stage 2, for BACL and for the gradients.

Two ranks run the classifier step of `classifier_step.py` over gloo, each with its own samples, and
what they hand to collective operations is counted. What then passes through a rank depends on the
algorithm and on the number of ranks: in a ring of W, gathering passes on W - 1 times what a rank
handed in, summing gradients 2 (W - 1) / W times. The gradients are those that learn in stage 2 of
Faster R-CNN with ResNet-50 and FPN: classifier, class-agnostic box regressor and RPN.
"""

import argparse
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from classifier_step import NUM_FEATS, NUM_OBJECTS, Step
from reporting import add_arguments, row, run

NUM_RANKS = 2
RING = 8
FPN_CHANNELS, NUM_ANCHORS = 256, 3
COLLECTIVES = ('all_reduce', 'all_gather')  # those that are used
BYTES_OF_FLOAT = 4


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--num-classes', type=int, nargs='+', default=[1203, 13204],
                        help='default: LVIS v1 and V3Det; the latter needs 4 GB')
    parser.add_argument('--objects', type=int, default=NUM_OBJECTS,
                        help='in the batch of a rank, each of another class')
    add_arguments(parser)
    args = parser.parse_args(argv)
    if args.quick:
        args.num_classes = args.num_classes[:1]
    return args


def gradient_bytes(num_classes: int) -> int:
    """Return the bytes of the gradients of stage 2."""
    channels = FPN_CHANNELS
    num_parameters = [
        (NUM_FEATS + 1) * (num_classes + 1), (NUM_FEATS + 1) * 4,  # fc_cls, fc_reg
        channels * channels * 9 + channels, (channels + 1) * NUM_ANCHORS * 5,  # rpn
    ]
    return BYTES_OF_FLOAT * sum(num_parameters)


def count_bytes(rank: int, num_classes: int, num_objects: int, folder: str) -> None:
    """Run a step as one of the ranks and write down what it sent."""
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank,
                            world_size=NUM_RANKS)
    sent = []

    def counted(collective):
        def wrapper(*args, **kwargs):
            # all_reduce(tensor) and all_gather(list of what comes, tensor)
            tensor = args[0] if isinstance(args[0], torch.Tensor) else args[1]
            sent.append(tensor.numel() * tensor.element_size())
            return collective(*args, **kwargs)
        return wrapper

    step = Step(num_classes, num_objects, seed=rank)
    for name in COLLECTIVES:
        setattr(dist, name, counted(getattr(dist, name)))
    step.run_bacl()
    Path(folder, f'{rank}.json').write_text(json.dumps(sent))
    dist.destroy_process_group()


def measure(args: argparse.Namespace) -> Iterable[dict]:
    """Yield the rows."""
    for num_classes in args.num_classes:
        with tempfile.TemporaryDirectory() as folder:
            mp.start_processes(count_bytes, (num_classes, args.objects, folder),
                               nprocs=NUM_RANKS, start_method='fork')  # ranks without a GPU
            sent = [sum(json.loads(Path(folder, f'{rank}.json').read_text()))
                    for rank in range(NUM_RANKS)]
        name = f'sent in a step, C = {num_classes}'
        gradients = gradient_bytes(num_classes)
        yield row(f'{name}, gradients', gradients / 1e6, 'MB')
        yield row(f'{name}, BACL, the most of the ranks', max(sent) / 1e6, 'MB')
        yield row(f'{name}, BACL / gradients', 100 * max(sent) / gradients, '%', '<= 5')
        yield row(f'{name}, BACL / gradients, passed on in a ring of {RING} ranks',
                  100 * max(sent) / gradients * RING / 2, '%')


if __name__ == '__main__':
    run(parse_args(), measure)
