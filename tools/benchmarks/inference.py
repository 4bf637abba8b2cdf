"""Images per second of whole detectors at test time: BACL against its baseline.

Both detectors are those of their configs: the baseline has mmdet's RoI head and NMS, BACL its own.
They differ in how many classes of how many proposals score above the threshold, three times as
many with BACL, which is what makes it slow with mmdet's NMS (Table XI of the paper). What that
would cost is measured with --mmdet-nms.

- R50-FPN with the classes of LVIS v1 on an image of 800 x 1333 pixels, smooth noise.
- The small detector of Emoji-LT mini on images of its validation set, with the weights of
  --checkpoints, if they are given.

Without checkpoints the weights are random and, but for the classifiers, the same in both detectors.
The classifiers are calibrated on the images: the logits of every class get the same mean and
standard deviation over the proposals, the mean such that of all proposals and classes 87 % score
above the threshold with BACL (1.05 of 1.2 million with LVIS) and a third of that with the baseline.
So NMS meets as many boxes as it does with trained detectors, and boxes that overlap score alike.

Timed is one image at a time, from its pixels to its detections: the data preprocessor, the network
and NMS. Reading, decoding and resizing of images are not.
"""

import argparse
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from statistics import median
from types import MethodType

import torch
import torch.nn.functional as F
from bacl.engine.running.build import build_model
from bacl.engine.running.work_dir import require_file
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.registry import DATASETS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from reporting import add_arguments, compare, row, run, time_in_turn
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs'
R50_CONFIGS = {'baseline': 'baselines/faster-rcnn_r50_fpn_bce-obj-2x_lvis-v1.py',
               'BACL': 'bacl/faster-rcnn_r50_fpn_bacl-stage2_lvis-v1.py'}
EMOJI_LT_CONFIGS = {'baseline': 'baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bce.py',
                    'BACL': 'bacl/faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bacl.py'}
EMOJI_LT_SIZE = (160, 160)  # (h, w), pixels
HOST_NMS = "BACL with mmdet's NMS"
# Of all proposals and classes, those that score above the threshold.
SHARES = {'baseline': 1.05 / 1.203 / 3, 'BACL': 1.05 / 1.203}
LOGIT_STD = 2.0  # of a class over the proposals
NOISE_CELL = 32  # pixels
QUICK_OPTIONS = {  # of the configs
    'model.test_cfg.rpn.max_per_img': 20,
    'model.roi_head.bbox_head.num_classes': 40,
}


def draw_image(height: int, width: int) -> dict:
    """Return a batch of one image of smooth noise, on which neighbouring boxes look alike."""
    cells = torch.rand(1, 3, height // NOISE_CELL + 1, width // NOISE_CELL + 1,
                       generator=torch.Generator().manual_seed(0))
    image = F.interpolate(255 * cells, (height, width), mode='bicubic').clamp(0, 255)
    sample = DetDataSample(metainfo=dict(
        img_shape=(height, width), ori_shape=(height, width), scale_factor=(1.0, 1.0)))
    return dict(inputs=[image[0].byte()], data_samples=[sample])


def read_images(config: Path, data_root: Path, num_images: int) -> list[dict]:
    """Return the first images of a config's test set, a batch each, decoded and resized."""
    cfg = Config.fromfile(config).test_dataloader.dataset
    cfg.data_root = str(data_root)
    dataset = DATASETS.build(cfg)
    samples = [dataset[index] for index in range(min(num_images, len(dataset)))]
    return [{key: [value] for key, value in sample.items()} for sample in samples]


def build_detectors(configs: dict[str, str], is_quick: bool) -> dict[str, nn.Module]:
    """Return the detectors of configs with random weights: the same wherever configs agree."""
    detectors = {}
    for side, config in configs.items():
        torch.manual_seed(0)
        detectors[side] = build_model(str(CONFIGS / config), QUICK_OPTIONS if is_quick else None)
        detectors[side].eval()
    return detectors


def with_mmdet_nms(detector: nn.Module) -> nn.Module:
    """Return a copy of a detector of BACL that leaves NMS to mmdet's RoI head."""
    detector = deepcopy(detector)
    detector.roi_head.predict_bbox = MethodType(StandardRoIHead.predict_bbox, detector.roi_head)
    return detector


@torch.no_grad()
def detect(detector: nn.Module, batches: list[dict]) -> list[DetDataSample]:
    """Return the images with their detections."""
    return [sample for batch in batches for sample in detector.test_step(batch)]


def classify(detector: nn.Module, batches: list[dict]) -> Tensor:
    """Return the logits of all proposals, (R, C + 1)."""
    logits = []
    handle = detector.roi_head.bbox_head.fc_cls.register_forward_hook(
        lambda module, inputs, output: logits.append(output))
    with handle:
        detect(detector, batches)
    return torch.cat(logits)


def count_candidates(detector: nn.Module, batches: list[dict]) -> float:
    """Return how many boxes and classes of an image enter NMS, on average."""
    scores = detector.roi_head.bbox_head.loss_cls.get_activation(classify(detector, batches))
    num = (scores[:, :-1] > detector.test_cfg.rcnn.score_thr).sum().item()
    return num / len(batches)


@torch.no_grad()
def calibrate(detector: nn.Module, batches: list[dict], share: float) -> None:
    """Change the classifier so that a share of its scores is above the threshold.

    A class scores (1 - p) times the sigmoid of its logit, where p is the probability of background;
    so it is above the threshold if its logit exceeds a limit that depends on the proposal.

    Args:
        detector: with a sigmoid classifier with objectness.
        batches: images.
        share: of the proposals in all images and the classes, in (0, 1).
    """
    logits = classify(detector, batches)
    std, mean = torch.std_mean(logits[:, :-1], dim=0)
    gain = LOGIT_STD / std
    limit = (detector.test_cfg.rcnn.score_thr / (1 - logits[:, -1:].sigmoid())).logit()
    excess = (logits[:, :-1] - mean) * gain - limit
    new_mean = -excess.flatten().quantile(1 - share)
    classifier = detector.roi_head.bbox_head.fc_cls
    classifier.weight[:-1] *= gain[:, None]
    classifier.bias[:-1] = (classifier.bias[:-1] - mean) * gain + new_mean


def measure_detectors(name: str, detectors: dict[str, nn.Module], batches: list[dict],
                      args: argparse.Namespace) -> Iterable[dict]:
    """Yield the rows of a baseline and BACL."""
    for side, detector in detectors.items():
        yield row(f'{name}, candidates of {side}', count_candidates(detector, batches),
                  'boxes/image')
    if args.mmdet_nms:
        detectors = {**detectors, HOST_NMS: with_mmdet_nms(detectors['BACL'])}
    seconds = time_in_turn({side: lambda detector=detector: detect(detector, batches)
                            for side, detector in detectors.items()}, args.rounds)
    for side, times in seconds.items():
        yield row(f'{name}, {side}', len(batches) / median(times), 'images/s')
    targets = {'baseline': '>= 0.95', HOST_NMS: None}
    for theirs, target in targets.items():
        if theirs in seconds:
            *_, ratio = compare(name, seconds, 'BACL', theirs, target, speed=True)
            yield ratio


def measure_r50(args: argparse.Namespace) -> Iterable[dict]:
    """Yield the rows of R50-FPN with the classes of LVIS v1."""
    batches = [draw_image(*args.shape)]
    detectors = build_detectors(R50_CONFIGS, args.quick)
    for side, detector in detectors.items():
        calibrate(detector, batches, SHARES[side])
    height, width = args.shape
    yield from measure_detectors(f'R50-FPN {height} x {width}', detectors, batches, args)


def measure_emoji_lt(args: argparse.Namespace) -> Iterable[dict]:
    """Yield the rows of the small detector."""
    detectors = build_detectors(EMOJI_LT_CONFIGS, args.quick)
    if args.quick:
        batches = [draw_image(*EMOJI_LT_SIZE)]
    else:
        batches = read_images(CONFIGS / EMOJI_LT_CONFIGS['BACL'], args.emoji_lt, args.images)
    for index, (side, detector) in enumerate(detectors.items()):
        if args.checkpoints:
            load_checkpoint(detector, args.checkpoints[index], map_location='cpu', strict=True)
        else:
            calibrate(detector, batches, SHARES[side])
    name = 'Emoji-LT mini' + (', trained' if args.checkpoints else '')
    yield from measure_detectors(name, detectors, batches, args)


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--shape', nargs=2, type=int, default=(800, 1333), metavar=('H', 'W'),
                        help='of the image of R50-FPN, pixels (default: 800 1333)')
    parser.add_argument('--emoji-lt', type=Path, default=ROOT / 'data/emoji_lt/mini',
                        help='folder of Emoji-LT mini')
    parser.add_argument('--images', type=int, default=16, help='of Emoji-LT')
    parser.add_argument('--checkpoints', nargs=2, metavar=('BASELINE', 'BACL'),
                        help='trained weights of the two detectors of Emoji-LT mini')
    parser.add_argument('--mmdet-nms', action='store_true',
                        help="run BACL with mmdet's NMS, too; with R50-FPN that takes minutes")
    parser.add_argument('--rounds', type=int, default=5)
    add_arguments(parser)
    args = parser.parse_args(argv)
    if args.quick:
        args.shape = (64, 96)
        if args.checkpoints:
            parser.error('--quick builds smaller detectors, which have no --checkpoints')
    elif not args.emoji_lt.is_dir():
        parser.error(f'--emoji-lt expects the folder of the data set, got {args.emoji_lt}. '
                     'Run tools/dataset_tools/build_emoji_lt.py.')
    for checkpoint in args.checkpoints or ():
        require_file(checkpoint, '--checkpoints')
    return args


def measure(args: argparse.Namespace) -> Iterable[dict]:
    """Yield the rows."""
    yield from measure_r50(args)
    yield from measure_emoji_lt(args)


if __name__ == '__main__':
    run(parse_args(), measure)
