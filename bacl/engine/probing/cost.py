"""The cost of a detector: parameters, multiply-adds and images per second."""
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from mmdet.models.detectors import TwoStageDetector
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(model: nn.Module, only_learning: bool = False) -> int:
    """Number of values in the parameters of a model; buffers are not parameters.

    Args:
        model: any model.
        only_learning: leave out those that are frozen.
    """
    return sum(parameter.numel() for parameter in model.parameters()
               if parameter.requires_grad or not only_learning)


@torch.no_grad()
def count_multiply_adds(model: nn.Module, height: int, width: int) -> int:
    """Multiply-adds of the convolutions and matrix products of one forward pass, batch of one.

    torch counts what is executed, so no control flow has to be traced. Not counted: biases,
    normalisation, activations, pooling, interpolation, RoIAlign, NMS (below 1 % in an R-CNN).

    How many proposals an RPN leaves depends on weights and image; here a two-stage detector gets
    as many as it may keep at test time (``test_cfg.rpn.max_per_img``). Masks are counted as in
    mmdet's own forward pass: for the first 100 of them.

    Args:
        model: a detector of mmdet.
        height: of the input, in pixels; it is not padded.
        width: of the input, in pixels.

    Returns:
        What papers on detection call FLOPs: a multiply-add counts as one.
    """
    images = torch.zeros(1, 3, height, width, device=next(model.parameters()).device)
    _forward(model, images)  # the first of a frozen extractor compares what it folds
    with FlopCounterMode(display=False) as counter:
        _forward(model, images)
    return counter.get_total_flops() // 2  # torch counts a multiply-add as two


def _forward(model: nn.Module, images: Tensor) -> None:
    height, width = images.shape[2:]
    sample = _data_sample(height, width)
    if not isinstance(model, TwoStageDetector) or not model.with_rpn:
        model(images, [sample], mode='tensor')
        return
    feats = model.extract_feat(images)
    model.rpn_head(feats)
    box = images.new_tensor([[0, 0, width, height]])
    proposals = InstanceData(bboxes=box.repeat(model.test_cfg.rpn.max_per_img, 1))
    model.roi_head(feats, [proposals], [sample])


def _data_sample(height: int, width: int) -> DetDataSample:
    shape = (height, width)
    return DetDataSample(metainfo=dict(
        img_shape=shape, ori_shape=shape, pad_shape=shape, batch_input_shape=shape,
        scale_factor=(1.0, 1.0)))


def measure_fps(model: nn.Module, height: int, width: int, num_images: int = 20,
                num_warmup: int = 3, whole_prediction: bool = True) -> float:
    """Images per second, one noise image at a time.

    A whole prediction is preprocessing, network and postprocessing. How long the last takes depends
    on how many scores exceed ``score_thr``: untrained classifiers let every class of every proposal
    pass, and NMS of a million boxes takes longer than all the rest. The network alone, with the
    proposals of :func:`count_multiply_adds`, takes the same time whatever its weights are.

    Args:
        model: a detector of mmdet in evaluation mode.
        height: of the image, in pixels; padded in a whole prediction only.
        width: of the image, in pixels.
        num_images: images that are timed, > 0; the median counts.
        num_warmup: images before, >= 0.
        whole_prediction: False times the network alone.

    Raises:
        ValueError: if ``num_images`` is not positive.
    """
    if num_images < 1:
        raise ValueError(f'measure_fps(num_images=) expects a positive int, got {num_images!r}.')
    image = torch.randint(256, (3, height, width), dtype=torch.uint8,
                          generator=torch.Generator().manual_seed(0))
    if whole_prediction:
        batch = dict(inputs=[image], data_samples=[_data_sample(height, width)])
        run = partial(model.test_step, batch)
    else:
        run = partial(_forward, model, image[None].to(next(model.parameters())))
    seconds = [_time(run) for _ in range(num_warmup + num_images)]
    return 1 / median(seconds[num_warmup:])


@torch.no_grad()
def _time(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()  # kernels run on after the call has returned
    return time.perf_counter() - start
