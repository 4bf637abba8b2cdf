"""RoI heads whose multi-class NMS stops when it has enough detections."""
import logging
from functools import cache

from bacl.ops import multiclass_nms
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.registry import MODELS
from mmdet.utils import ConfigType, InstanceList
from mmengine.logging import print_log
from mmengine.structures import InstanceData
from torch import Tensor

# What may stand in test_cfg.rcnn.nms besides type='nms'. mmdet's split_thr bounds its memory only.
KNOWN_NMS_KEYS = {'type', 'iou_threshold', 'class_agnostic', 'split_thr'}


class EarlyStopNMSMixin:
    """Predicts boxes as the host RoI head does, with :func:`bacl.ops.multiclass_nms`.

    The host decodes boxes and scores; only the last step, mmdet's ``multiclass_nms``, is replaced,
    by the settings of the host's ``test_cfg``. The detections are the same, except among candidates
    of equal score, whose order mmdet leaves open, and for overlaps within a rounding error of the
    threshold: mmdet tells classes apart by an offset to the coordinates, which with 1,203 classes
    rounds them to an eighth of a pixel. Another NMS than ``type='nms'``, such as ``soft_nms``,
    changes scores, so all candidates matter: the host does it, and the log says so.
    """

    def predict_bbox(self, x: tuple[Tensor], batch_img_metas: list[dict],
                     rpn_results_list: InstanceList, rcnn_test_cfg: ConfigType | None,
                     rescale: bool = False) -> InstanceList:
        """See mmdet's ``StandardRoIHead.predict_bbox``."""
        arguments = (x, batch_img_metas, rpn_results_list)
        if rcnn_test_cfg is None or not can_stop_early(rcnn_test_cfg.nms):
            return super().predict_bbox(*arguments, rcnn_test_cfg, rescale)
        # Without a test_cfg the host returns what enters the NMS.
        candidates = super().predict_bbox(*arguments, None, rescale)
        return [detect(image, rcnn_test_cfg) for image in candidates]


def can_stop_early(nms_cfg: ConfigType | None) -> bool:
    """Whether an NMS is plain greedy NMS; if not, the log says once that mmdet's is used."""
    if nms_cfg and nms_cfg.get('type', 'nms') == 'nms' and set(nms_cfg) <= KNOWN_NMS_KEYS:
        return True
    warn_once(f'NMS does not stop early with nms={nms_cfg}: mmdet computes it.')
    return False


@cache
def warn_once(message: str) -> None:
    """Log a warning, unless the process has done so already."""
    print_log(message, logger='current', level=logging.WARNING)


def detect(candidates: InstanceData, rcnn_test_cfg: ConfigType) -> InstanceData:
    """The detections of one image.

    Args:
        candidates: ``bboxes`` (R, 4) or (R, C * 4) and ``scores`` (R, C + 1), background last.
        rcnn_test_cfg: with ``score_thr``, ``nms`` and ``max_per_img``.

    Returns:
        ``bboxes`` (K, 4), ``scores`` (K,) and ``labels`` (K,), by falling score.
    """
    nms_cfg = rcnn_test_cfg.nms
    boxes, scores, labels, _ = multiclass_nms(
        candidates.bboxes, candidates.scores[:, :-1], rcnn_test_cfg.score_thr,
        nms_cfg.iou_threshold, rcnn_test_cfg.max_per_img, nms_cfg.get('class_agnostic', False))
    return InstanceData(bboxes=boxes, scores=scores, labels=labels)


@MODELS.register_module()
class EarlyStopRoIHead(EarlyStopNMSMixin, StandardRoIHead):
    """mmdet's ``StandardRoIHead`` with early-stopping NMS; a change of ``type`` in any config."""


@MODELS.register_module()
class EarlyStopCascadeRoIHead(EarlyStopNMSMixin, CascadeRoIHead):
    """mmdet's ``CascadeRoIHead`` with early-stopping NMS; a change of ``type`` in any config."""
