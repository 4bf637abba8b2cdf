"""RoI features of maps that record no graph."""
import torch
from bacl.ops import is_on_cpu, row_roi_align
from mmcv.ops import RoIAlign
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.registry import MODELS
from torch import Tensor

FULL_PRECISION = (torch.float32, torch.float64)  # in others, coordinates lose whole pixels


@MODELS.register_module()
class FrozenRoIExtractor(SingleRoIExtractor):
    """mmdet's ``SingleRoIExtractor``, on a CPU three times as fast where nothing before it learns.

    The host fills its result with zeros and copies it together, level by level, RoIAlign of
    ``mmcv-lite`` once more. :func:`~bacl.ops.row_roi_align` computes the same, up to rounding, and
    stores it once. It does so on a CPU, for maps without gradient and a ``RoIAlign`` that averages
    a fixed number of samples (``sampling_ratio`` above 0); everything else is the host's.
    """

    def forward(self, feats: tuple[Tensor, ...], rois: Tensor,
                roi_scale_factor: float | None = None) -> Tensor:
        """See the host: maps (B, C, H, W) and RoIs (N, 5) to features (N, C, bins, bins)."""
        if not self._takes_rows(feats):
            return super().forward(feats, rois, roi_scale_factor)
        rois = rois.to(feats[0].dtype)
        levels = self.map_roi_levels(rois, len(feats))
        if roi_scale_factor is not None and len(feats) > 1:  # the host ignores it for one map
            rois = self.roi_rescale(rois, roi_scale_factor)
        layer = self.roi_layers[0]
        return row_roi_align(feats, rois, levels,
                             [layer.spatial_scale for layer in self.roi_layers[:len(feats)]],
                             layer.output_size, layer.sampling_ratio, layer.aligned)

    def _takes_rows(self, feats: tuple[Tensor, ...]) -> bool:
        layer = self.roi_layers[0]
        return (type(layer) is RoIAlign and layer.pool_mode == 'avg' and layer.sampling_ratio > 0
                and is_on_cpu(feats[0]) and feats[0].dtype in FULL_PRECISION
                and not any(feat.requires_grad for feat in feats))
