"""Counts of what the samples of a box head are, kept on their device."""
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.structures.bbox import bbox2roi, bbox_overlaps, get_box_tensor
from torch import Tensor, nn

NUM_IOU_BINS = 50


@dataclass(frozen=True)
class RegressionInputs:
    """Input of a box regression loss for the positives of a batch, without graph.

    Attributes:
        pred: (P, 4).
        target: (P, 4).
        weight: (P, 4).
    """

    pred: Tensor
    target: Tensor
    weight: Tensor


class RoIStatistics:
    """Sums over the sampled RoIs of one box head.

    Nothing here waits for the device; :meth:`take` does.

    Args:
        num_classes: C.
        num_levels: L, of the RoI extractor; 0 if it has no rule that assigns RoIs to levels.
        device: of the model.

    Attributes:
        window: (3,), sums since the last :meth:`take_window`: positives, negatives, and over
            batches the classes among the positives.
    """

    def __init__(self, num_classes: int, num_levels: int, device: torch.device) -> None:
        self.sizes = dict(positives=num_classes, hallucinated=num_classes,
                          batches_with_class=num_classes, negatives=1,
                          level_positives=num_levels, level_negatives=num_levels,
                          iou_count=NUM_IOU_BINS + 1)
        self.device = device
        self.reset()

    def reset(self) -> None:
        """Forget all samples."""
        # One tensor each for the counts and the losses, so that reading them is one transfer.
        self._counts = torch.zeros(sum(self.sizes.values()), dtype=torch.int64, device=self.device)
        views = self._counts.split(list(self.sizes.values()))
        self.counts = dict(zip(self.sizes, views, strict=True))
        self.regression_loss = torch.zeros(NUM_IOU_BINS + 1, dtype=torch.float64,
                                           device=self.device)
        self.window = torch.zeros(3, dtype=torch.float64, device=self.device)

    def take(self) -> dict[str, Tensor]:
        """The sums, on the CPU, and a fresh start.

        Returns:
            ``regression_loss`` (B + 1,) and int64 counts: of classes (C,), levels (L,),
            ``negatives`` (1,) and ``iou_count`` (B + 1,). The last bin is that of the ground truth
            which the sampler added to the proposals.
        """
        values = self._counts.cpu().split(list(self.sizes.values()))
        sums = dict(zip(self.sizes, values, strict=True),
                    regression_loss=self.regression_loss.cpu())
        self.reset()
        return sums

    def take_window(self) -> Tensor:
        """:attr:`window`, on the device, and a fresh start of it alone."""
        window, self.window = self.window, torch.zeros_like(self.window)
        return window

    @torch.no_grad()
    def add_hallucinated(self, labels: Tensor) -> None:
        """Count samples that are no RoIs.

        Args:
            labels: (P,), int64 in [0, C]; C is the background, which does not count.
        """
        counts = labels.new_zeros(self.sizes['hallucinated'] + 1)
        self.counts['hallucinated'] += counts.index_add_(0, labels, torch.ones_like(labels))[:-1]

    @torch.no_grad()
    def add(self, samples: Sequence[SamplingResult], extractor: nn.Module,
            loss_bbox: nn.Module | None, regression: RegressionInputs | None) -> None:
        """Count the RoIs of a batch.

        Args:
            samples: of each image.
            extractor: RoI extractor of the head.
            loss_bbox: of the head.
            regression: what it got; None if it was not called.
        """
        labels = torch.cat([sample.pos_gt_labels for sample in samples])
        positives = torch.cat([get_box_tensor(sample.pos_priors) for sample in samples])
        negatives = torch.cat([get_box_tensor(sample.neg_priors) for sample in samples])
        truth = torch.cat([get_box_tensor(sample.pos_gt_bboxes) for sample in samples])
        is_added = torch.cat([sample.pos_is_gt for sample in samples]).bool()

        present = torch.zeros_like(self.counts['positives']).index_fill_(0, labels, 1)
        self.counts['positives'].index_add_(0, labels, torch.ones_like(labels))
        self.counts['batches_with_class'] += present
        self.counts['negatives'] += len(negatives)
        self.window[0] += len(positives)
        self.window[1] += len(negatives)
        self.window[2] += present.sum()
        for name, boxes in (('level_positives', positives), ('level_negatives', negatives)):
            if self.sizes[name]:
                levels = extractor.map_roi_levels(bbox2roi([boxes]), self.sizes[name])
                # A box of negative width has no level, and on a GPU it would end the process.
                levels = levels.clamp(0, self.sizes[name] - 1)
                self.counts[name].index_add_(0, levels, torch.ones_like(levels))
        # A box without area has the IoU NaN or 0; the sampler adds it like any ground truth.
        iou = bbox_overlaps(positives, truth.to(positives), is_aligned=True).nan_to_num()
        bins = (iou * NUM_IOU_BINS).long().clamp(0, NUM_IOU_BINS - 1)
        bins = bins.masked_fill(is_added, NUM_IOU_BINS)
        self.counts['iou_count'].index_add_(0, bins, torch.ones_like(bins))
        if regression is not None:
            # The method and not the module: no hooks see this call.
            losses = loss_bbox.forward(regression.pred, regression.target, regression.weight,
                                       reduction_override='none')
            self.regression_loss.index_add_(0, bins, losses.reshape(len(bins), -1).sum(1).double())
