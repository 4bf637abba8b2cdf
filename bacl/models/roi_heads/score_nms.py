"""From scores to detections: calibration, then a multi-class NMS that stops when it has enough."""
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
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
    :class:`~bacl.models.calibrators.Calibrator` without ``num_classes``, changes the scores, or
    the logits that they are made of anew; of a cascade these are means over its stages. Then
    :func:`bacl.ops.multiclass_nms` takes the place of mmdet's ``multiclass_nms``, by the settings
    of the host's ``test_cfg``. The detections are the same, except among candidates of equal score,
    whose order mmdet leaves open, and for overlaps within a rounding error of the threshold: mmdet
    tells classes apart by an offset to the coordinates, which with 1,203 classes rounds them to an
    eighth of a pixel. Another NMS than ``type='nms'``, such as ``soft_nms``, changes scores, so all
    candidates matter: mmdet's does it, and the log says so.

    Raises:
        TypeError: if the calibrator is none.
        ValueError: if it is for another activation than that of the box head.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        cfg = (self.test_cfg or {}).get('calibrator')
        self.calibrator: Calibrator | None = None
        if cfg is not None:
            self.calibrator = build_calibrator(cfg, self)

    def predict_bbox(self, x: tuple[Tensor], batch_img_metas: list[dict],
                     rpn_results_list: InstanceList, rcnn_test_cfg: ConfigType | None,
                     rescale: bool = False) -> InstanceList:
        """See mmdet's ``StandardRoIHead.predict_bbox``.

        Raises:
            ValueError: if the calibrator gives scores of another shape.
        """
        candidates = self.predict_candidates(x, batch_img_metas, rpn_results_list, rescale)
        for image in candidates:
            logits = image.pop('logits')
            if self.calibrator is not None and len(logits):
                image.scores = calibrate(self.calibrator, last_box_head(self), logits)
        if rcnn_test_cfg is None:
            return candidates
        return [detect(image, rcnn_test_cfg) for image in candidates]

    def predict_candidates(self, x: tuple[Tensor], batch_img_metas: list[dict],
                           rpn_results_list: InstanceList, rescale: bool = False) -> InstanceList:
        """Candidates, which calibrator and NMS begin with.

        Args:
            x: feature maps of all levels.
            batch_img_metas: of each image.
            rpn_results_list: proposals of each image.
            rescale: whether boxes are in pixels of the original image.

        Returns:
            For each image ``bboxes`` (R, 4) or (R, C * 4), ``scores`` (R, C + 1) as the classifier
            gives them, background last, and ``logits`` (R, channels).
        """
        with kept_logits(last_box_head(self)) as logits:
            # Without a test_cfg the host returns what enters the NMS.
            candidates = super().predict_bbox(x, batch_img_metas, rpn_results_list, None, rescale)
        # Without a single RoI, the host does not come to the logits.
        for image, image_logits in zip(candidates, logits or [c.scores for c in candidates],
                                       strict=True):
            image.logits = image_logits
        return candidates


def last_box_head(roi_head: nn.Module) -> nn.Module:
    """The box head that predicts: the only one, or the last of a cascade."""
    head = roi_head.bbox_head
    return head[-1] if isinstance(head, nn.ModuleList) else head


def build_calibrator(cfg: ConfigType, roi_head: nn.Module) -> Calibrator:
    """Build the calibrator of a RoI head.

    Args:
        cfg: its config, without ``num_classes``.
        roi_head: whose box heads are built.

    Raises:
        TypeError: if it is none.
        ValueError: if it is for another activation than that of the box head.
    """
    owner, head = type(roi_head).__name__, last_box_head(roi_head)
    calibrator = MODELS.build(cfg, default_args=dict(num_classes=head.num_classes))
    name = type(calibrator).__name__
    if not isinstance(calibrator, Calibrator):
        raise TypeError(f'{owner}(test_cfg=dict(calibrator=)) expects a Calibrator such as '
                        f"dict(type='IdentityCalibrator'), got {name}.")
    found = activation_kind(head)
    if calibrator.activation not in (None, found):
        raise ValueError(
            f'{name} is for {calibrator.activation} scores, but those of {type(head).__name__} '
            f'with {type(head.loss_cls).__name__} are {found} scores. Choose a calibrator for '
            'these, or one for any, such as LogitAdjustment.')
    if hasattr(calibrator, 'set_classifiers'):
        heads = roi_head.bbox_head
        calibrator.set_classifiers([h.fc_cls for h in (
            heads if isinstance(heads, nn.ModuleList) else [heads])])
    return calibrator


def activate(head: nn.Module, logits: Tensor) -> Tensor:
    """Logits (R, channels) to scores (R, C + 1), as a box head does it."""
    if hasattr(head, 'get_scores'):  # of its own
        return head.get_scores(logits)
    return head.loss_cls.get_activation(logits) if head.custom_cls_channels else \
        logits.softmax(dim=-1)


def activation_kind(head: nn.Module) -> str:
    """What the loss says, or 'softmax' if the scores of a RoI sum to one, else 'sigmoid'."""
    if not head.custom_cls_channels:
        return 'softmax'
    if hasattr(head.loss_cls, 'activation'):  # neither, or not to be tried without counts
        return head.loss_cls.activation
    probe = torch.linspace(
        -1, 1, head.loss_cls.get_cls_channels(head.num_classes), device='cpu')[None]
    total = head.loss_cls.get_activation(probe).sum().item()
    return 'softmax' if abs(total - 1) < 1e-4 else 'sigmoid'


@contextmanager
def kept_logits(head: nn.Module) -> Iterator[list[Tensor]]:
    """Collects the logits that a box head makes scores of, while it predicts.

    Args:
        head: box head of mmdet; of a cascade the last.

    Yields:
        A list that gets the logits (R, channels) of each image.
    """
    logits = []
    predict: Callable = head.predict_by_feat

    def predict_by_feat(rois: tuple[Tensor], cls_scores: tuple[Tensor], *args,
                        **kwargs) -> InstanceList:
        logits.extend(cls_scores)
        return predict(rois, cls_scores, *args, **kwargs)

    head.predict_by_feat = predict_by_feat
    try:
        yield logits
    finally:
        del head.predict_by_feat


def calibrate(calibrator: Calibrator, head: nn.Module, logits: Tensor) -> Tensor:
    """Calibrated scores of an image.

    Args:
        calibrator: of scores or of logits.
        head: box head, which activates logits.
        logits: (R, channels).

    Returns:
        (R, C + 1), background last.

    Raises:
        ValueError: if the calibrator changes the shape of what it gets.
    """
    given = logits if calibrator.uses_logits else activate(head, logits)
    calibrated = calibrator(given)
    if calibrated.shape != given.shape:
        raise ValueError(f'{type(calibrator).__name__} expects to return the shape that it gets, '
                         f'{tuple(given.shape)}, got {tuple(calibrated.shape)}.')
    return activate(head, calibrated) if calibrator.uses_logits else calibrated


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
