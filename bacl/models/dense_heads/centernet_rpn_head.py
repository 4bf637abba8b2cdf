"""CenterNet as the region proposal network of a two-stage detector: CenterNet2."""
from mmdet.models.dense_heads import CenterNetUpdateHead
from mmdet.registry import MODELS
from mmdet.utils import InstanceList
from mmengine.structures import InstanceData
from torch import Tensor


@MODELS.register_module()
class CenterNetRPNHead(CenterNetUpdateHead):
    """mmdet's ``CenterNetUpdateHead``, whose predictions in training are right, too.

    The host has distances in pixels only in evaluation mode, and in strides in training mode, where
    its losses want them. A detector of two stages takes its proposals from these. And the heat map
    of an image without objects is 0; the host's is that of an object everywhere, in integers, which
    several processes cannot average.

    Reference:
        Zhou et al., "Probabilistic two-stage detection", arXiv 2103.07461 (CenterNet2).
    """

    def predict_by_feat(self, cls_scores: list[Tensor], bbox_preds: list[Tensor], *args,
                        **kwargs) -> InstanceList:
        """See the host: what :meth:`forward` returned, in either mode, to boxes in pixels."""
        if self.training:
            bbox_preds = [distances * stride for distances, stride
                          in zip(bbox_preds, self.strides, strict=True)]
        return super().predict_by_feat(cls_scores, bbox_preds, *args, **kwargs)

    def _get_targets_single(self, gt_instances: InstanceData, points: Tensor,
                            **kwargs) -> tuple[Tensor, Tensor]:
        """See the host: heat (P, num_classes) and distances (P, 4) of an image; -1 are of none."""
        if not len(gt_instances):
            return points.new_zeros(len(points), self.num_classes), \
                points.new_full((len(points), 4), -1)
        return super()._get_targets_single(gt_instances, points, **kwargs)
