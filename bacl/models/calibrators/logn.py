"""LogN: logits of each class normalised by their statistics over a pass of the data."""
from collections.abc import Sequence

import torch
from mmdet.registry import MODELS
from torch import Tensor

from .base import LogitCalibrator


@MODELS.register_module()
class LogN(LogitCalibrator):
    """Logit normalisation, which needs no labels and has nothing to tune.

    With mean and standard deviation of the logits of class c over the RoIs of many images::

        z'_c = (z_c - (mean_c - min_j mean_j)) / std_c

    The background keeps its logit.

    Args:
        num_classes: C, > 0.
        mean: C numbers; None to be observed.
        std: C numbers > 0; None to be observed.

    Raises:
        ValueError: if one of them is something else, or given without the other.

    Reference:
        Zhao et al., "Logit Normalization for Long-Tail Object Detection", IJCV 2024.
    """

    def __init__(self, num_classes: int, mean: Sequence[float] | None = None,
                 std: Sequence[float] | None = None) -> None:
        super().__init__(num_classes)
        if (mean is None) != (std is None):
            raise ValueError('LogN(mean=, std=) expects both or none of them, got one.')
        self.num_rois = 0
        for name in ('mean', 'square'):  # not in the checkpoint: no training makes them
            self.register_buffer(name, torch.zeros(num_classes, dtype=torch.float64),
                                 persistent=False)
        if mean is not None:
            self.num_rois = 1
            self.mean = self.per_class('mean', mean, lowest=-torch.inf)
            self.square = self.per_class('std', std, lowest=1e-12).square()

    @torch.no_grad()
    def observe(self, logits: Tensor) -> None:
        """Take the logits (R, channels) of the RoIs of an image into account."""
        logits = logits[:, :self.num_classes].to(self.mean)
        if not len(logits):
            return
        # Chan's rule for two groups: a difference of large sums would lose digits.
        mean, square = logits.mean(dim=0), logits.var(dim=0, correction=0)
        self.num_rois += len(logits)
        share, step = len(logits) / self.num_rois, mean - self.mean
        self.square = self.square.lerp(square, share) + share * (1 - share) * step.square()
        self.mean = self.mean + share * step

    def observed(self) -> dict[str, list[float]]:
        """The arguments of a LogN that need not observe."""
        return dict(mean=self.mean.tolist(), std=self.square.sqrt().tolist())

    def calibrate_classes(self, logits: Tensor) -> Tensor:
        """(z - (mean - min mean)) / std."""
        if not self.num_rois:
            raise RuntimeError('LogN has no statistics of the logits. Set mean=[...] and std=[...] '
                               'in its config; `tools/calibrate.py --calibrator LogN` writes one.')
        shift = self.mean - self.mean.min()
        return (logits - shift.to(logits)) / self.square.sqrt().clamp(min=1e-12).to(logits)
