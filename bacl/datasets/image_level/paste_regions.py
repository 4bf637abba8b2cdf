"""Regions of image-level pictures, pasted into the detection images of a batch."""
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS
from mmengine.structures import InstanceData
from torch import Tensor


@FUNCTIONS.register_module()
def paste_image_level_regions(batch: Sequence[dict], prob: float = 1.0,
                              size_range: tuple[float, float] = (0.1, 0.5),
                              min_visible: float = 0.3) -> dict:
    """Collate a batch, in which each image-level picture gives its region to a detection image.

    The k-th picture of a batch is paired with its k-th detection image. Its region, the coarse box
    (:class:`.LoadCoarseBox`), is cut out, mirrored half of the time, resized, and put at a random
    place as a rectangle; it is the last object of that image. Both samples of a pair say the same
    ``pair_id`` in their meta data. The picture itself stays in the batch as it is. One without a
    class is no object: its pair stays as it is, too.

    It is for ``collate_fn`` of a data loader whose batches hold both,
    ``JointSampler(samples_per_round=(B // 2, B // 2))``. What it draws follows the random numbers
    of the last sample, hence with ``SeedHook`` the seed and the epoch. Every choice here is
    inferred: the paper's figure shows that the region becomes an object, and not how.

    Args:
        batch: samples as ``PackDetInputs`` gives them; image-level ones say their ``source`` and
            have one box.
        prob: probability that the region of a pair is pasted; 0 pastes nothing.
        size_range: square root of the area of a pasted region, relative to the shorter side of the
            detection image; uniform in this range, in (0, 1]. The aspect is kept, and what would
            not fit is made smaller.
        min_visible: an object of which a smaller share stays visible is removed, in [0, 1]; the
            box of another shrinks to what is visible.

    Raises:
        ValueError: if an argument is out of its range, a batch has images of one kind only, or a
            picture has another number of boxes than one.

    Reference:
        Li et al., arXiv 2210.05568 (CLIS), whose code was not published.
    """
    owner = 'paste_image_level_regions'
    if not 0 <= prob <= 1:
        raise ValueError(f'{owner}(prob=) expects a number in [0, 1], got {prob!r}.')
    if not 0 < size_range[0] <= size_range[1] <= 1:
        raise ValueError(f'{owner}(size_range=) expects two ascending numbers in (0, 1], got '
                         f'{size_range!r}.')
    if not 0 <= min_visible <= 1:
        raise ValueError(f'{owner}(min_visible=) expects a number in [0, 1], got {min_visible!r}.')
    targets, sources = [], []
    for sample in batch:
        is_single = sample['data_samples'].get('source') is not None
        (sources if is_single else targets).append(sample)
    for source in sources:
        check_source(source, owner)
    if prob and not (targets and sources):
        raise ValueError(
            f'{owner} expects batches with detection images and image-level pictures, got '
            f'{len(targets)} and {len(sources)} of them. Set the batch_size of the loader to the '
            'sum of samples_per_round of its JointSampler.')
    for pair_id, (target, source) in enumerate(zip(targets, sources, strict=False)):
        is_object = source['data_samples'].gt_instances.labels[0] >= 0
        if np.random.random() < prob and is_object:
            paste_region(target, source, np.random.uniform(*size_range), min_visible)
            for sample in (target, source):
                sample['data_samples'].set_metainfo(dict(pair_id=pair_id))
    return pseudo_collate(batch)


def check_source(source: dict, owner: str) -> None:
    """Refuse an image-level picture with another number of boxes than one.

    Raises:
        ValueError: naming it.
    """
    sample = source['data_samples']
    if len(sample.gt_instances) != 1:
        raise ValueError(
            f'{owner} expects image-level pictures with one box, got {len(sample.gt_instances)} of '
            f'{sample.get("img_path", "a picture")}. Leave mosaics out of their pipeline.')


def paste_region(target: dict, source: dict, size: float, min_visible: float) -> None:
    """Paste the region of an image-level picture into a detection image, at a random place.

    Args:
        target: sample of the detection image; image and objects are changed in place.
        source: sample of the picture, with one box.
        size: square root of the area that the region gets, relative to the shorter side of the
            detection image.
        min_visible: see :func:`paste_image_level_regions`.

    Raises:
        ValueError: if objects have masks or others that the region has not.
    """
    image, gt = target['inputs'], target['data_samples'].gt_instances
    others = sorted(set(gt.keys()) - {'bboxes', 'labels'})
    if others:
        raise ValueError('paste_image_level_regions expects objects with boxes and labels alone, '
                         f'got {others} too. Set with_mask=False in LoadAnnotations.')
    region = source['data_samples'].gt_instances
    patch = resized(cut_out(source['inputs'], region.bboxes.tensor[0]), size, image.shape[1:])
    if np.random.random() < 0.5:
        patch = patch.flip(2)
    height, width = patch.shape[1:]
    top = np.random.randint(image.shape[1] - height + 1)
    left = np.random.randint(image.shape[2] - width + 1)
    image[:, top:top + height, left:left + width] = patch

    cover = gt.bboxes.tensor.new_tensor([left, top, left + width, top + height])
    boxes, share = visible_parts(gt.bboxes.tensor, cover)
    gt.bboxes = HorizontalBoxes(boxes)
    pasted = InstanceData(bboxes=HorizontalBoxes(cover[None]), labels=region.labels)
    target['data_samples'].gt_instances = InstanceData.cat([gt[share >= min_visible], pasted])


def cut_out(image: Tensor, box: Tensor) -> Tensor:
    """The pixels of a box, one at least: (3, h, w) of an image (3, H, W).

    Args:
        image: (3, H, W).
        box: (4,), x1, y1, x2, y2 in pixels.
    """
    height, width = image.shape[1:]
    x1, y1, x2, y2 = box.round().int().tolist()
    x1, y1 = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
    return image[:, y1:max(y2, y1 + 1), x1:max(x2, x1 + 1)]


def resized(patch: Tensor, size: float, canvas: Sequence[int]) -> Tensor:
    """Resize a patch, keeping its aspect, so that it fits into a canvas.

    Args:
        patch: (3, h, w), uint8.
        size: square root of its new area, relative to the shorter side of the canvas.
        canvas: height and width, pixels.
    """
    height, width = patch.shape[1:]
    scale = min(size * min(canvas) / (height * width) ** 0.5,
                canvas[0] / height, canvas[1] / width)
    new_size = max(round(scale * height), 1), max(round(scale * width), 1)
    return F.interpolate(patch[None].float(), new_size, mode='bilinear', antialias=True,
                         align_corners=False)[0].round().clamp(0, 255).to(patch.dtype)


def visible_parts(boxes: Tensor, cover: Tensor) -> tuple[Tensor, Tensor]:
    """What is left of boxes behind a rectangle.

    Args:
        boxes: (G, 4), x1, y1, x2, y2.
        cover: (4,), the rectangle.

    Returns:
        The smallest boxes around what is visible, (G, 4), the box itself if nothing is; and the
        share of the area that is visible, (G,), in [0, 1].
    """
    low, high = boxes[:, :2].maximum(cover[:2]), boxes[:, 2:].minimum(cover[2:])
    hidden = (high - low).clamp(min=0)  # (G, 2), width and height
    sides = boxes[:, 2:] - boxes[:, :2]
    share = 1 - hidden.prod(1) / sides.prod(1).clamp(min=1e-6)
    # A side moves if the rectangle covers the whole of it, from corner to corner, and not all.
    is_spanned = (hidden >= sides).flip(1) & (hidden > 0) & (hidden < sides)
    starts = torch.where(is_spanned & (low <= boxes[:, :2]), high, boxes[:, :2])
    ends = torch.where(is_spanned & (high >= boxes[:, 2:]), low, boxes[:, 2:])
    return torch.cat([starts, ends], dim=1), share
