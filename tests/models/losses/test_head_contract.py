"""Heads of mmdet with losses of this package: those that work, and those that are refused."""
import logging

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import FCBL, EqualizedFocalLoss, FederatedFocalLoss, check_heads
from bacl.models.losses.head_contract import is_dense_head_of
from bacl.models.predictors import ClassPredictor
from mmdet.models.dense_heads import DETRHead
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.hub import get_config
from mmengine.structures import InstanceData
from torch import nn

C = 5
WORKING = {
    'Faster': 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco',
    'OHEM': 'faster_rcnn/faster-rcnn_r50_fpn_ohem_1x_coco',
    'Mask': 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco',
    'Cascade': 'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco',
    'Cascade Mask': 'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco',
    'Double-Head': 'double_heads/dh-faster-rcnn_r50_fpn_1x_coco',
    'Dynamic': 'dynamic_rcnn/dynamic-rcnn_r50_fpn_1x_coco',
    'Libra': 'libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco',
    'HTC': 'htc/htc-without-semantic_r50_fpn_1x_coco',
}
REFUSED = {
    'SABL': ('sabl/sabl-faster-rcnn_r50_fpn_1x_coco', 'FCBL in SABLHead'),
    'SABL Cascade': ('sabl/sabl-cascade-rcnn_r50_fpn_1x_coco', 'FCBL in SABLHead'),
    'CrowdDet': ('crowddet/crowddet-rcnn_r50_fpn_8xb2-30e_crowdhuman',
                 'FCBL in MultiInstanceBBoxHead'),
    'Sparse': ('sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco', 'FCBL.*DIIHead'),
    'QueryInst': ('queryinst/queryinst_r50_fpn_1x_coco', 'FCBL.*DIIHead'),
}


def listed(cfg):
    return cfg if isinstance(cfg, list) else [cfg]


def roi_head_cfg(name, loss_cls='FCBL'):
    """The RoI head of a config of mmdet, small, with a loss of ours."""
    model = get_config(f'mmdet::{name}.py').model
    cfg = model.roi_head
    for head in listed(cfg.bbox_head):
        head['num_classes'], head['loss_cls'] = C, dict(type=loss_cls)  # update() would merge
        for key in ('fc_out_channels', 'conv_out_channels'):
            if key in head and head.type != 'DoubleConvFCBBoxHead':
                head[key] = 16
        if 'num_convs' in head:
            head.num_convs = 1
    for head in listed(cfg.get('mask_head') or []):
        head.update(num_classes=C, num_convs=1)
    cfg.update(train_cfg=model.train_cfg.rcnn, test_cfg=dict(model.test_cfg.rcnn, score_thr=0.0))
    return ConfigDict(cfg)


def batch():
    torch.manual_seed(0)
    x = tuple(torch.randn(1, 256, 32 // 2**level, 32 // 2**level) for level in range(5))
    gt = torch.tensor([[10., 10., 60., 60.], [50., 40., 110., 100.]])
    noise = torch.rand(40, 4) * 12
    sample = DetDataSample(metainfo=dict(img_shape=(128, 128), ori_shape=(128, 128),
                                         pad_shape=(128, 128), scale_factor=(1., 1.)))
    sample.gt_instances = InstanceData(
        bboxes=gt, labels=torch.tensor([1, 3]), masks=BitmapMasks(
            [torch.ones(128, 128).numpy().astype('uint8')] * 2, 128, 128))
    far = torch.rand(60, 2) * 90
    proposals = torch.cat([gt.repeat(20, 1) + noise, torch.cat([far, far + 8], dim=1)])
    return x, InstanceData(bboxes=proposals, scores=torch.rand(len(proposals))), sample


@pytest.mark.parametrize('name', WORKING)
def test_builds_trains_and_predicts_with_the_scores_of_the_loss(name):
    head = MODELS.build(roi_head_cfg(WORKING[name]))
    x, proposals, sample = batch()
    losses = head.loss(x, [proposals], [sample])
    total = sum(value if torch.is_tensor(value) else sum(value)
                for key, value in losses.items() if 'loss' in key)
    total.backward()
    box_heads = list(head.bbox_head) if isinstance(head.bbox_head, nn.ModuleList) \
        else [head.bbox_head]
    for box_head in box_heads:
        assert 2 <= box_head.loss_cls.indicator.num_samples.sum() <= 100
        # A classifier that is sure: sigmoid(2) against a background of sigmoid(-2).
        nn.init.zeros_(box_head.fc_cls.weight)
        box_head.fc_cls.bias.data = torch.tensor([2., *[-8.] * (C - 1), -2.])
    x, proposals, sample = batch()
    (detections,) = head.eval().predict(x, [proposals], [sample])
    assert detections.scores.max().item() == pytest.approx(
        torch.tensor(2.).sigmoid().item() * (1 - torch.tensor(-2.).sigmoid().item()), rel=1e-5)


@pytest.mark.parametrize('name', REFUSED)
def test_a_head_that_does_not_ask_the_loss_is_refused_with_its_name(name):
    config, named = REFUSED[name]
    with pytest.raises((TypeError, ValueError), match=named):
        MODELS.build(roi_head_cfg(config))


def test_a_classifier_of_another_size_is_refused_by_name_and_in_the_first_step():
    with pytest.raises(ValueError, match=r'SigmoidBCELoss in DoubleConvFCBBoxHead.*6.*5'):
        MODELS.build(roi_head_cfg(WORKING['Double-Head'], 'SigmoidBCELoss'))
    loss = MODELS.build(dict(type='SigmoidBCELoss', num_classes=5))
    with pytest.raises(ValueError, match='SigmoidBCELoss expects logits of 5.*got 6'):
        loss(torch.zeros(1, 6), torch.tensor([0]))


def test_ohem_keeps_the_negatives_with_the_largest_loss():
    cfg = roi_head_cfg(WORKING['OHEM'])
    cfg.train_cfg.sampler.update(num=16, pos_fraction=0.25)
    head = MODELS.build(cfg)
    x, proposals, sample = batch()
    scores, kept = [], []

    def spy(module, args, kwargs, loss):
        (kept if kwargs['reduction_override'] is None else scores).append(loss.detach())

    head.bbox_head.loss_cls.register_forward_hook(spy, with_kwargs=True)
    sampled, sample_one = [], head.bbox_sampler.sample

    def keep(*args, **kwargs):
        sampled.append(sample_one(*args, **kwargs))
        return sampled[-1]

    head.bbox_sampler.sample = keep
    head.loss(x, [proposals], [sample])
    positive, negative = scores
    assert positive.dim() == negative.dim() == 1
    assert len(sampled[0].pos_priors) == 4 and len(sampled[0].neg_priors) == 12
    # What the sampler ranks is no training step: only the four that it keeps are counted.
    assert head.bbox_head.loss_cls.indicator.num_samples.sum() == 4
    with torch.no_grad():
        rois = torch.cat([torch.zeros(12, 1), sampled[0].neg_priors], dim=1)
        logits = head._bbox_forward(x, rois)['cls_score']
        losses = head.bbox_head.loss_cls.eval()(
            logits, torch.full((12,), C), reduction_override='none')
    torch.testing.assert_close(losses.sort().values, negative.topk(12).values.sort().values,
                               rtol=1e-4, atol=1e-4)


class OwnHead(MODELS.get('Shared2FCBBoxHead')):
    """Changes the logits and lets its base do the rest."""

    def _predict_by_feat_single(self, roi, cls_score, *args, **kwargs):
        return super()._predict_by_feat_single(roi, cls_score * 2, *args, **kwargs)


class SilentHead(MODELS.get('Shared2FCBBoxHead')):
    """Computes scores itself."""

    def _predict_by_feat_single(self, roi, cls_score, *args, **kwargs):
        return InstanceData(scores=cls_score.softmax(1))


class ForeignHead(nn.Module):
    """Shares nothing with mmdet's heads but the name of the loss."""

    def __init__(self):
        super().__init__()
        self.loss_cls = FCBL()
        self.linear = nn.Linear(2, self.loss_cls.get_cls_channels(C))

    def scores(self, feats):
        return self.loss_cls.get_activation(self.linear(feats))


def test_heads_of_ones_own_are_judged_by_what_they_do():
    check_heads(ForeignHead())
    settings = dict(in_channels=2, fc_out_channels=4, roi_feat_size=2, num_classes=C,
                    loss_cls=dict(type='FCBL'))
    check_heads(OwnHead(**settings))
    with pytest.raises(ValueError, match='FCBL in SilentHead'):
        check_heads(SilentHead(**settings))


@MODELS.register_module()
class WatchingPredictor(ClassPredictor):
    """Wants to see the samples of training."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.linear = nn.Linear(self.in_features, self.out_features)

    def forward(self, feats):
        return self.linear(feats)

    def reset_parameters(self):
        nn.init.ones_(self.linear.weight)

    def observe(self, feats, labels):
        pass


def test_parts_that_only_our_roi_heads_serve_are_refused_elsewhere():
    cfg = roi_head_cfg(WORKING['Faster'])
    cfg.bbox_head.cls_predictor_cfg = dict(type='WatchingPredictor')
    with pytest.raises(ValueError, match='WatchingPredictor.*LongTailRoIHead'):
        MODELS.build(cfg)
    MODELS.build(dict(cfg, type='LongTailRoIHead'))
    cfg = roi_head_cfg(WORKING['Faster'])
    cfg.test_cfg.calibrator = dict(type='IdentityCalibrator')
    with pytest.raises(ValueError, match='calibrator.*StandardRoIHead.*LongTailRoIHead'):
        MODELS.build(cfg)


@pytest.mark.parametrize('loss', ['SigmoidBCELoss', 'ObjectnessBCELoss', 'GroupSoftmaxLoss',
                                  'SynchronizedSeesawLoss', 'BalancedSoftmaxLoss'])
def test_an_augmenter_for_a_softmax_is_refused_with_any_other_loss(loss):
    cfg = roi_head_cfg(WORKING['Faster'], loss)
    cfg.update(type='LongTailRoIHead', augmenter=dict(type='FASA'))
    if loss == 'BalancedSoftmaxLoss':
        MODELS.build(cfg)
    else:
        with pytest.raises(ValueError, match=f'FASA in LongTailRoIHead.*softmax.*{loss}'):
            MODELS.build(cfg)


def test_a_predictor_has_the_last_word_on_its_initialisation():
    cfg = roi_head_cfg(WORKING['Faster']).bbox_head
    cfg.cls_predictor_cfg = dict(type='WatchingPredictor')
    cfg.init_cfg = [dict(type='Normal', std=0.01, override=dict(name='fc_cls'))]
    head = MODELS.build(cfg)
    logging.disable(logging.INFO)
    head.init_weights()
    logging.disable(logging.NOTSET)
    assert (head.fc_cls.linear.weight == 1).all()


def test_one_loss_knows_the_classes_of_its_head():
    head = MODELS.build(roi_head_cfg(WORKING['Faster']).bbox_head)
    assert head.loss_cls.num_classes == C == head.loss_cls.indicator.num_classes
    assert isinstance(head.loss_cls, FCBL) and head.fc_cls.out_features == C + 1


def test_heads_of_detrs_take_losses_that_ranks_need_not_share():
    # They do not ask their loss about denoising queries on a rank without boxes.
    head = DETRHead.__new__(DETRHead)
    nn.Module.__init__(head)
    head.cls_out_channels = C
    assert is_dense_head_of(FederatedFocalLoss(C, use_sigmoid=True), head)
    assert not is_dense_head_of(EqualizedFocalLoss(C, use_sigmoid=True), head)
