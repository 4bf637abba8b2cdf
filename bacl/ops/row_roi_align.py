"""RoIAlign for a CPU and features without gradient: weighted sums of the rows of a table.

torchvision's RoIAlign goes through a map channel by channel, on one core. Here the channels of a
cell are a row of a table, and a bin is a weighted sum of rows, ``embedding_bag``, which takes whole
rows and all cores.

Shapes: N RoIs, L levels, B images, C channels, S samples of a bin along an axis.
"""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# RoIs that are computed at once: their features stay in the cache until they are stored.
CHUNK = 256


def row_roi_align(feats: Sequence[Tensor], rois: Tensor, levels: Tensor, scales: Sequence[float],
                  output_size: tuple[int, int], sampling_ratio: int, aligned: bool) -> Tensor:
    """Average of bilinear samples in each bin of each RoI.

    Args:
        feats: L maps (B, C, H, W).
        rois: (N, 5), of the type of the maps: image, x1, y1, x2, y2.
        levels: (N,), int64 in [0, L): the map that a RoI takes its features from.
        scales: of each level, cells per unit of the boxes.
        output_size: bins along y and along x.
        sampling_ratio: S, > 0.
        aligned: shift coordinates by half a cell; False takes a box to be a cell wide at least.

    Returns:
        (N, C, bins along y, bins along x), without gradient.
    """
    num_channels = feats[0].size(1)
    table = torch.cat([feat.detach().permute(0, 2, 3, 1).reshape(-1, num_channels)
                       for feat in feats])
    shapes = torch.tensor([feat.shape[2:] for feat in feats])
    num_rows = len(feats[0]) * shapes.prod(1)
    result = rois.new_empty(len(rois), num_channels, *output_size)
    for part, roi, level in zip(result.split(CHUNK), rois.split(CHUNK), levels.split(CHUNK),
                                strict=True):
        image, shape = roi[:, 0].long(), shapes[level]
        begin, end = (roi[:, 1:] * roi.new_tensor(scales)[level, None]
                      - (0.5 if aligned else 0)).split(2, dim=1)
        extent = (end - begin) if aligned else (end - begin).clamp(min=1)
        (x, x_weight), (y, y_weight) = (
            axis_samples(begin[:, axis], extent[:, axis], shape[:, 1 - axis],
                         output_size[1 - axis], sampling_ratio) for axis in (0, 1))
        # Rows of a level lie image after image and line after line.
        first = (num_rows.cumsum(0) - num_rows)[level] + image * shape.prod(1)
        line = first[:, None, None] + y * shape[:, 1, None, None]
        # Every cell along y with every cell along x.
        num = 2 * sampling_ratio
        rows = line.repeat_interleave(num, 2)[:, :, None] + x.repeat(1, 1, num)[:, None]
        weight = y_weight.repeat_interleave(num, 2)[:, :, None] \
            * x_weight.repeat(1, 1, num)[:, None]
        bins = F.embedding_bag(rows.flatten(0, 2), table, mode='sum',
                               per_sample_weights=weight.flatten(0, 2))
        part.copy_(bins.view(len(roi), *output_size, num_channels).permute(0, 3, 1, 2))
    return result


def axis_samples(begin: Tensor, extent: Tensor, num_cells: Tensor, num_bins: int,
                 sampling_ratio: int) -> tuple[Tensor, Tensor]:
    """Cells that the bins of boxes take along an axis, and their weights.

    A sample takes the two cells beside it, at the border the same cell twice; beyond a cell outside
    of the map it is zero.

    Args:
        begin: (N,), lower coordinate of each box, in cells.
        extent: (N,), size of each box, in cells.
        num_cells: (N,), of the map.
        num_bins: along the axis.
        sampling_ratio: S.

    Returns:
        Cells (N, bins, 2 S), int64, and weights (N, bins, 2 S).
    """
    # In torchvision's order of operations, for a sample in the next cell has other neighbours.
    size = (extent / num_bins)[:, None, None]
    offset = torch.arange(sampling_ratio) + 0.5
    sample = begin[:, None, None] + torch.arange(num_bins)[:, None] * size \
        + offset * size / sampling_ratio
    num_cells = num_cells[:, None, None]
    is_inside = (sample >= -1) & (sample <= num_cells)
    sample = sample.clamp(min=0).minimum((num_cells - 1).to(sample.dtype))
    lower = sample.floor()
    share = sample - lower
    lower = lower.long()
    cells = torch.cat([lower, (lower + 1).minimum(num_cells - 1)], dim=2)
    weights = torch.cat([1 - share, share], dim=2) * is_inside.repeat(1, 1, 2) / sampling_ratio
    return cells, weights
