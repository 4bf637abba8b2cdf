import logging

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.roi_heads import early_stop_nms
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData

NUM_CLASSES = 20
MODEL_CONFIGS = ['cascade-rcnn_r50_fpn', 'mask-rcnn_r50_fpn', 'faster-rcnn_r50_fpn']
OWN_TYPE = {'StandardRoIHead': 'EarlyStopRoIHead', 'CascadeRoIHead': 'EarlyStopCascadeRoIHead'}


def roi_heads(name, **test_cfg):
    """mmdet's RoI head and the early-stopping one, with the same weights."""
    cfg = Config.fromfile(f'configs/_base_/models/{name}.py').model
    roi_head = cfg.roi_head
    heads = roi_head.bbox_head if isinstance(roi_head.bbox_head, list) else [roi_head.bbox_head]
    for head in heads:
        head.update(num_classes=NUM_CLASSES, fc_out_channels=16)
    if 'mask_head' in roi_head:
        roi_head.mask_head.update(num_classes=NUM_CLASSES, num_convs=1, conv_out_channels=16)
    cfg.test_cfg.rcnn.update(test_cfg)
    roi_head.update(train_cfg=None, test_cfg=cfg.test_cfg.rcnn)
    torch.manual_seed(0)
    host = MODELS.build(roi_head).eval()
    own = MODELS.build(dict(roi_head, type=OWN_TYPE[roi_head.type])).eval()
    own.load_state_dict(host.state_dict())
    return host, own


def predict(roi_head, num_proposals=(30, 0, 12), rescale=True):
    torch.manual_seed(1)
    feats = tuple(torch.randn(len(num_proposals), 256, 64 // 2**i, 64 // 2**i) for i in range(5))
    samples, proposals = [], []
    for number in num_proposals:
        corner = torch.rand(number, 2) * 200
        proposals.append(InstanceData(bboxes=torch.cat([corner, corner + 40], dim=1)))
        samples.append(DetDataSample(metainfo=dict(
            img_shape=(256, 256), ori_shape=(128, 128), scale_factor=(2.0, 2.0))))
    with torch.no_grad():
        return roi_head.predict(feats, proposals, samples, rescale=rescale)


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for key in one.keys():  # noqa: SIM118
            assert torch.equal(one[key], other[key]), key


@pytest.mark.parametrize('name', MODEL_CONFIGS)
@pytest.mark.parametrize('test_cfg', [
    dict(), dict(score_thr=0.05, max_per_img=7), dict(score_thr=0.0, max_per_img=-1),
    dict(nms=dict(type='nms', iou_threshold=0.3, class_agnostic=True))])
def test_detections_are_those_of_mmdet(name, test_cfg):
    host, own = roi_heads(name, **test_cfg)
    expected = predict(host)
    assert len(expected[0]) > 0 and len(expected[1]) == 0
    assert_same(predict(own), expected)


@pytest.mark.parametrize(('nms', 'name'), [
    (dict(type='soft_nms', iou_threshold=0.5), 'soft_nms'), (None, 'None'),
    (dict(type='nms', iou_threshold=0.5, offset=1), 'offset')])
def test_another_nms_is_left_to_mmdet_and_said_once(nms, name, monkeypatch):
    host, own = roi_heads('faster-rcnn_r50_fpn', nms=nms)
    messages = []
    monkeypatch.setattr(early_stop_nms, 'print_log',
                        lambda message, logger, level: messages.append((message, level)))
    monkeypatch.setattr(type(host).__mro__[0], 'predict_bbox', lambda self, *args: ['of mmdet'])
    early_stop_nms.warn_once.cache_clear()
    for _ in range(2):
        assert own.predict_bbox((), [], [], own.test_cfg) == ['of mmdet']
    ((message, level),) = messages
    assert name in message and level == logging.WARNING
