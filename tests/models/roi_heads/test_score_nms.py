import logging

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.calibrators import Calibrator, LogitCalibrator
from bacl.models.roi_heads import score_nms
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData

NUM_CLASSES = 20
MODEL_CONFIGS = ['cascade-rcnn_r50_fpn', 'mask-rcnn_r50_fpn', 'faster-rcnn_r50_fpn']
OWN_TYPE = {'StandardRoIHead': 'LongTailRoIHead', 'CascadeRoIHead': 'LongTailCascadeRoIHead'}


def roi_heads(name, loss=None, **test_cfg):
    """mmdet's RoI head and the early-stopping one, with the same weights."""
    cfg = Config.fromfile(f'configs/_base_/models/{name}.py').model
    roi_head = cfg.roi_head
    heads = roi_head.bbox_head if isinstance(roi_head.bbox_head, list) else [roi_head.bbox_head]
    for head in heads:
        head.update(num_classes=NUM_CLASSES, fc_out_channels=16)
        if loss is not None:
            head['loss_cls'] = dict(type=loss)
    if 'mask_head' in roi_head:
        roi_head.mask_head.update(num_classes=NUM_CLASSES, num_convs=1, conv_out_channels=16)
    cfg.test_cfg.rcnn.update(test_cfg)
    roi_head.update(train_cfg=None, test_cfg=cfg.test_cfg.rcnn)
    torch.manual_seed(0)
    own = MODELS.build(dict(roi_head, type=OWN_TYPE[roi_head.type])).eval()
    roi_head.test_cfg.pop('calibrator', None)  # mmdet's head would not ask it
    host = MODELS.build(roi_head).eval()
    host.load_state_dict(own.state_dict(), strict=False)  # without a calibrator's
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
    messages, calls = [], []
    monkeypatch.setattr(score_nms, 'print_log',
                        lambda message, logger, level: messages.append((message, level)))

    def keep_all(boxes, scores, score_thr, nms_cfg, max_num, **_):
        """Takes the place of an NMS that only compiled ops have."""
        calls.append((scores, score_thr, nms_cfg, max_num))
        return boxes.new_ones(2, 5), boxes.new_zeros(2, dtype=torch.long)

    monkeypatch.setattr('mmdet.models.roi_heads.bbox_heads.bbox_head.multiclass_nms', keep_all)
    monkeypatch.setattr(score_nms, 'mmdet_multiclass_nms', keep_all)
    score_nms.warn_once.cache_clear()
    expected = predict(host, num_proposals=(30, 12))
    for _ in range(2):
        assert_same(predict(own, num_proposals=(30, 12)), expected)
    ((message, level),) = messages
    assert name in message and level == logging.WARNING
    for ours, theirs in ((calls[2], calls[0]), (calls[3], calls[1])):
        assert torch.equal(ours[0], theirs[0]) and ours[1:] == theirs[1:]


@MODELS.register_module()
class OneClassCalibrator(Calibrator):
    """Leaves the scores of one class alone."""

    def __init__(self, num_classes, chosen):
        super().__init__(num_classes)
        self.register_buffer('factor', torch.zeros(num_classes + 1))
        self.factor[chosen] = 1

    def forward(self, scores):
        return scores * self.factor


@MODELS.register_module()
class ShortCalibrator(Calibrator):
    """Forgets the background."""

    def forward(self, scores):
        return scores[:, :-1]


@pytest.mark.parametrize('name', MODEL_CONFIGS)
@pytest.mark.parametrize('nms', [dict(type='nms', iou_threshold=0.5), None])
def test_a_calibrator_changes_the_scores_before_the_nms(name, nms):
    settings = dict(nms=nms, score_thr=0.0, max_per_img=40)
    plain = predict(roi_heads(name, **settings)[1])
    same = predict(roi_heads(name, calibrator=dict(type='IdentityCalibrator'), **settings)[1])
    assert_same(same, plain)
    one = predict(roi_heads(name, calibrator=dict(type='OneClassCalibrator', chosen=7),
                            **settings)[1])
    # It comes before the cap: the 40 detections of an image are all of its class.
    assert one[0].labels.tolist() == [7] * len(one[0].labels) and len(one[0]) > 0
    assert plain[0].labels.unique().numel() > 1


def test_what_is_no_calibrator_and_what_changes_the_shape_is_refused():
    with pytest.raises(TypeError, match='calibrator.*ObjectnessBCELoss'):
        roi_heads('faster-rcnn_r50_fpn', calibrator=dict(type='ObjectnessBCELoss'))
    with pytest.raises(ValueError, match=r'ShortCalibrator.*\(30, 21\).*\(30, 20\)'):
        predict(roi_heads('faster-rcnn_r50_fpn', calibrator=dict(type='ShortCalibrator'))[1])


@MODELS.register_module()
class OneClassLogits(LogitCalibrator):
    """Leaves the logit of one class alone."""

    def __init__(self, num_classes, chosen):
        super().__init__(num_classes)
        self.chosen = chosen

    def calibrate_classes(self, logits):
        return torch.full_like(logits, -50).index_copy(
            1, torch.tensor([self.chosen]), logits[:, self.chosen, None])


@pytest.mark.parametrize('name', ['cascade-rcnn_r50_fpn', 'faster-rcnn_r50_fpn'])
@pytest.mark.parametrize('loss', [None, 'SigmoidBCELoss', 'ObjectnessBCELoss'])
def test_calibrated_logits_are_activated_as_the_head_does_it(name, loss):
    settings = dict(score_thr=0.0, max_per_img=-1, loss=loss)
    plain = predict(roi_heads(name, **settings)[1], num_proposals=(30, 12))
    assert_same(predict(roi_heads(name, calibrator=dict(type='LogitAdjustment', tau=0.0,
                                                        counts=[1] * NUM_CLASSES), **settings)[1],
                        num_proposals=(30, 12)), plain)
    one = predict(roi_heads(name, calibrator=dict(type='OneClassLogits', chosen=7), **settings)[1],
                  num_proposals=(30, 12))
    scores = one[0].scores[one[0].labels == 7]
    if loss is None:  # what the others leave goes to it and to the background
        assert scores.max() > plain[0].scores[plain[0].labels == 7].max()
    else:
        torch.testing.assert_close(scores, plain[0].scores[plain[0].labels == 7])
    assert one[0].scores[one[0].labels != 7].max() < 1e-9


def test_a_batch_without_a_proposal_passes_any_calibrator():
    for name in MODEL_CONFIGS:
        _, own = roi_heads(name, calibrator=dict(type='OneClassLogits', chosen=7))
        assert not len(predict(own, num_proposals=(0, 0))[0])


@pytest.mark.parametrize(('calibrator', 'loss', 'named'), [
    (dict(type='NorCal', gamma=1.0), 'ObjectnessBCELoss', 'NorCal is for softmax.*Objectness'),
    (dict(type='NorCal', gamma=1.0), 'SigmoidBCELoss', 'NorCal is for softmax.*SigmoidBCELoss'),
    (dict(type='SigmoidFRACAL', ann_file='a.json'), 'GumbelCELoss', 'SigmoidFRACAL.*are gumbel'),
    (dict(type='SigmoidFRACAL', ann_file='a.json'), None, 'SigmoidFRACAL is for sigmoid.*Cross')])
def test_a_calibrator_for_another_activation_is_refused(calibrator, loss, named):
    with pytest.raises(ValueError, match=named):
        roi_heads('faster-rcnn_r50_fpn', loss=loss, calibrator=calibrator)
    with pytest.raises(ValueError, match='TauNorm.*Linear.*Linear'):
        roi_heads('cascade-rcnn_r50_fpn', calibrator=dict(type='TauNorm', tau=1.0))


def test_tau_norm_equals_a_classifier_with_normalised_weights():
    settings = dict(score_thr=0.0, max_per_img=-1)
    _, own = roi_heads('faster-rcnn_r50_fpn', calibrator=dict(type='TauNorm', tau=0.7), **settings)
    plain, _ = roi_heads('faster-rcnn_r50_fpn', **settings)
    weight = plain.bbox_head.fc_cls.weight.data[:-1]
    weight /= weight.norm(dim=1, keepdim=True)**0.7
    for one, other in zip(predict(own), predict(plain), strict=True):
        torch.testing.assert_close(one.scores, other.scores)
