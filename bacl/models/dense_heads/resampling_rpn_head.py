"""NMS resampling of Forest R-CNN: more proposals near objects of rarer classes."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from bacl.annotations import ClassTable
from mmcv.ops import batched_nms
from mmdet.models.dense_heads import RPNHead
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox_overlaps, get_box_tensor
from mmdet.utils import InstanceList
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

# Field of the ground truth of a data sample: its labels, which detectors hide from their RPN.
CLASS_LABELS = 'class_labels'


@MODELS.register_module()
class KeepClassLabels(nn.Module):
    """Shows the RPN the classes of the objects: ``data_preprocessor.batch_augments``.

    mmdet's two-stage detectors give their RPN ground truth of a single class. This one copies the
    labels before, to ``gt_instances.class_labels``.
    """

    def forward(self, inputs: Tensor, data_samples: SampleList) -> tuple[Tensor, SampleList]:
        """Images and samples of a batch, with the labels kept."""
        for sample in data_samples:
            sample.gt_instances.set_field(sample.gt_instances.labels, CLASS_LABELS)
        return inputs, data_samples


def nearness(bboxes: Tensor, gt_bboxes: Tensor, gt_groups: Tensor, num_groups: int,
             iou_thr: float) -> Tensor:
    """Which boxes are near an object of which frequency group.

    Args:
        bboxes: (M, 4), as (x1, y1, x2, y2).
        gt_bboxes: (K, 4), of the objects of the image.
        gt_groups: (K,), int64, frequency group of each object, 0 is the rarest.
        num_groups: G, > 0; the last is for objects of groups from there on, and for none.
        iou_thr: smallest IoU that is near.

    Returns:
        (G, M), bool: near an object of each of the first G - 1 groups, and near none of these.
    """
    is_near = bbox_overlaps(bboxes, gt_bboxes) >= iou_thr  # (M, K)
    groups = torch.arange(num_groups - 1, device=gt_groups.device)
    near = (is_near & (gt_groups == groups[:, None, None])).any(dim=2)
    return torch.cat([near, ~near.any(dim=0, keepdim=True)])


def resample_proposals(bboxes: Tensor, scores: Tensor, level_ids: Tensor, is_wanted: Tensor,
                       iou_thrs: Sequence[float], max_per_level: int = -1) -> Tensor:
    """Choose proposals by one NMS for each frequency group.

    Of the NMS with the threshold of a group, the proposals near objects of this group are kept; a
    proposal near objects of two groups may be kept twice.

    Args:
        bboxes: (M, 4), as (x1, y1, x2, y2).
        scores: (M,).
        level_ids: (M,), int64, level of the feature pyramid; there is an NMS for each.
        is_wanted: (G, M), bool; see :func:`nearness`.
        iou_thrs: G, IoU above which the NMS suppresses.
        max_per_level: the first so many of each level are kept; negative keeps all.

    Returns:
        Numbers of the proposals: of the first group by falling score, then those of the second, ...
    """
    kept = []
    for iou_thr, wanted in zip(iou_thrs, is_wanted, strict=True):
        best = batched_nms(bboxes, scores, level_ids, dict(type='nms', iou_threshold=iou_thr))[1]
        kept.append(best[wanted[best]])
    kept = torch.cat(kept)
    if max_per_level < 0 or not len(kept):
        return kept
    levels = level_ids[kept]
    rank = F.one_hot(levels).cumsum(dim=0).gather(1, levels[:, None])[:, 0]  # from 1
    return kept[rank <= max_per_level]


@MODELS.register_module()
class ResamplingRPNHead(RPNHead):
    """mmdet's ``RPNHead`` with NMS resampling in training: ``rpn_head=dict(type=...)``.

    The NMS suppresses less near objects of rare classes, more near those of common ones, and most
    elsewhere, so that the classifier sees more positives of rare classes; see
    :func:`resample_proposals`. Then the best ``max_per_img`` are taken, as ever. A test, and a
    detector in evaluation, have the plain NMS of their config.

    The groups of the classes come from the training data, through
    :class:`~bacl.engine.hooks.MethodHook`; with more groups than thresholds, the last threshold is
    for all others. The labels of the objects have to be shown by :class:`KeepClassLabels`. The NMS
    runs once for each group, and like mmdet's, it lets the host wait for the GPU.

    Args:
        iou_thrs: NMS threshold of each frequency group, the rarest first, in [0, 1] (0.9, 0.8, 0.7
            in the paper).
        near_iou_thr: smallest IoU of a proposal near an object, in [0, 1] (0.3 in the paper).
        max_per_level: proposals of a level that are kept at most, those of rarer groups first;
            negative keeps all (2,000 in the official code).
        **kwargs: of mmdet's ``RPNHead``.

    Raises:
        ValueError: if a threshold is out of its range.

    Reference:
        Wu et al., "Forest R-CNN: Large-Vocabulary Long-Tailed Object Detection and Instance
        Segmentation", ACM MM 2020, NMS resampling ("discrete").
    """

    def __init__(self, *args, iou_thrs: Sequence[float] = (0.9, 0.8, 0.7),
                 near_iou_thr: float = 0.3, max_per_level: int = -1, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        for name, value, is_valid in (
                ('iou_thrs', iou_thrs, iou_thrs and all(0 <= thr <= 1 for thr in iou_thrs)),
                ('near_iou_thr', near_iou_thr, 0 <= near_iou_thr <= 1)):
            if not is_valid:
                raise ValueError(
                    f'ResamplingRPNHead({name}=) expects numbers in [0, 1], got {value!r}.')
        self.iou_thrs, self.near_iou_thr = tuple(iou_thrs), near_iou_thr
        self.max_per_level = max_per_level
        # Not in the checkpoint: only training has groups, and always from its data.
        self.register_buffer('class_group', None, persistent=False)

    def set_class_counts(self, table: ClassTable) -> None:
        """Take the frequency groups of the classes.

        Raises:
            ValueError: if the data have none.
        """
        if table.group is None:
            raise ValueError('ResamplingRPNHead expects training data with frequency groups, as '
                             'those of LVIS, got none.')
        self.class_group = torch.as_tensor(table.group, device=next(self.parameters()).device)

    def loss_and_predict(self, x: tuple[Tensor], batch_data_samples: SampleList,
                         proposal_cfg: ConfigDict | None = None) -> tuple[dict, InstanceList]:
        """See the host: losses and, resampled, the proposals of a training step.

        Raises:
            RuntimeError: if labels or frequency groups are missing.
        """
        missing = [cure for is_missing, cure in (
            (self.class_group is None, "add dict(type='MethodHook') to custom_hooks"),
            (any(CLASS_LABELS not in sample.gt_instances for sample in batch_data_samples),
             "set data_preprocessor.batch_augments=[dict(type='KeepClassLabels')]")) if is_missing]
        if missing:
            raise RuntimeError('ResamplingRPNHead needs the classes of the objects and their '
                               f'frequency groups: {"; ".join(missing)}.')
        # What predict_by_feat passes down to the proposals of an image is its meta data.
        for sample in batch_data_samples:
            sample.set_metainfo(dict(resampling=self._objects(sample.gt_instances)))
        return super().loss_and_predict(x, batch_data_samples, proposal_cfg)

    def _objects(self, gt_instances: InstanceData) -> tuple[Tensor, Tensor]:
        return (get_box_tensor(gt_instances.bboxes),
                self.class_group[gt_instances.get(CLASS_LABELS)])

    def _bbox_post_process(self, results: InstanceData, cfg: ConfigDict, rescale: bool = False,
                           with_nms: bool = True, img_meta: dict | None = None) -> InstanceData:
        """See the host: candidates of an image to its proposals."""
        objects = (img_meta or {}).get('resampling')
        if objects is None or not len(results):
            return super()._bbox_post_process(results, cfg, rescale, with_nms, img_meta)
        bboxes = get_box_tensor(results.bboxes)
        if cfg.get('min_bbox_size', -1) >= 0:
            is_large = (bboxes[:, 2:] - bboxes[:, :2] > cfg.min_bbox_size).all(dim=1)
            results, bboxes = results[is_large], bboxes[is_large]
        is_wanted = nearness(bboxes, *objects, len(self.iou_thrs), self.near_iou_thr)
        results = results[resample_proposals(bboxes, results.scores, results.level_ids, is_wanted,
                                             self.iou_thrs, self.max_per_level)]
        results = results[results.scores.argsort(descending=True, stable=True)[:cfg.max_per_img]]
        results.labels = torch.zeros_like(results.level_ids)
        del results.level_ids
        return results
