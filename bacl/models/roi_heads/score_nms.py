"""From scores to detections: calibration, then a multi-class NMS that stops when it has enough."""
import logging
from functools import cache

from bacl.ops import multiclass_nms
from mmdet.models.layers import multiclass_nms as mmdet_multiclass_nms
from mmdet.registry import MODELS
from mmdet.utils import ConfigType, InstanceList
from mmengine.logging import print_log
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ..calibrators import Calibrator

# What may stand in test_cfg.rcnn.nms besides type='nms'. mmdet's split_thr bounds its memory only.
KNOWN_NMS_KEYS = {'type', 'iou_threshold', 'class_agnostic', 'split_thr'}


class ScoreNMSMixin:
    """Predicts boxes as the host RoI head does, with a calibrator and a faster NMS.

    The host decodes boxes and scores. Then ``test_cfg.rcnn.calibrator``, the config of a
    :class:`~bacl.models.calibrators.Calibrator` without ``num_classes``, changes the scores. Then
    :func:`bacl.ops.multiclass_nms` takes the place of mmdet's ``multiclass_nms``, by the settings
    of the host's ``test_cfg``. The detections are the same, except among candidates of equal score,
    whose order mmdet leaves open, and for overlaps within a rounding error of the threshold: mmdet
    tells classes apart by an offset to the coordinates, which with 1,203 classes rounds them to an
    eighth of a pixel. Another NMS than ``type='nms'``, such as ``soft_nms``, changes scores, so all
    candidates matter: mmdet's does it, and the log says so.

    Raises:
        TypeError: if the calibrator is none.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        cfg = (self.test_cfg or {}).get('calibrator')
        self.calibrator: Calibrator | None = None
        if cfg is not None:
            head = self.bbox_head[-1] if isinstance(self.bbox_head, nn.ModuleList) \
                else self.bbox_head
            self.calibrator = MODELS.build(cfg, default_args=dict(num_classes=head.num_classes))
            if not isinstance(self.calibrator, Calibrator):
                raise TypeError(
                    f'{type(self).__name__}(test_cfg=dict(calibrator=)) expects a Calibrator such '
                    f"as dict(type='IdentityCalibrator'), got {type(self.calibrator).__name__}.")

    def predict_bbox(self, x: tuple[Tensor], batch_img_metas: list[dict],
                     rpn_results_list: InstanceList, rcnn_test_cfg: ConfigType | None,
                     rescale: bool = False) -> InstanceList:
        """See mmdet's ``StandardRoIHead.predict_bbox``.

        Raises:
            ValueError: if the calibrator gives scores of another shape.
        """
        # Without a test_cfg the host returns what enters the NMS.
        candidates = super().predict_bbox(x, batch_img_metas, rpn_results_list, None, rescale)
        if self.calibrator is not None:
            for image in candidates:
                image.scores = calibrate(self.calibrator, image.scores)
        if rcnn_test_cfg is None:
            return candidates
        return [detect(image, rcnn_test_cfg) for image in candidates]


def calibrate(calibrator: Calibrator, scores: Tensor) -> Tensor:
    """Scores (R, C + 1) as the calibrator changes them; an error if it changes their shape."""
    calibrated = calibrator(scores)
    if calibrated.shape != scores.shape:
        raise ValueError(f'{type(calibrator).__name__} expects to return scores of the shape that '
                         f'it gets, {tuple(scores.shape)}, got {tuple(calibrated.shape)}.')
    return calibrated


def can_stop_early(nms_cfg: ConfigType | None) -> bool:
    """True if an NMS is plain greedy NMS; if not, the log says once that mmdet's is used."""
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
    if can_stop_early(nms_cfg):
        boxes, scores, labels, _ = multiclass_nms(
            candidates.bboxes, candidates.scores[:, :-1], rcnn_test_cfg.score_thr,
            nms_cfg.iou_threshold, rcnn_test_cfg.max_per_img, nms_cfg.get('class_agnostic', False))
    else:
        detections, labels = mmdet_multiclass_nms(
            candidates.bboxes, candidates.scores, rcnn_test_cfg.score_thr, nms_cfg,
            rcnn_test_cfg.max_per_img)
        boxes, scores = detections[:, :-1], detections[:, -1]
    return InstanceData(bboxes=boxes, scores=scores, labels=labels)
