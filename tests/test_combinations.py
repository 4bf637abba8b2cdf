"""Losses, predictors, augmenters and RoI heads, each with each: a step trains, or it is refused."""
from itertools import product

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.annotations import ClassTable
from bacl.annotations.class_table import LVIS_GROUPS
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData

C, CHANNELS = 6, 8
SOFTMAX = ('SoftmaxCELoss', 'GRWCrossEntropyLoss', 'BalancedSoftmaxLoss', 'EquilibriumLoss',
           'PairwiseBalancedSoftmaxLoss')
OBJECTNESS = ('ObjectnessBCELoss', 'EqualizationLossV2', 'FCBL', 'AdaptiveClassSuppressionLoss',
              'PairwiseBalancedEqualizationLossV2', 'EffectiveClassMarginLoss')
SIGMOID = ('SigmoidBCELoss', 'EqualizationLoss', 'DropLoss', 'FederatedLoss', 'BalancedSigmoidLoss')
OWN_LAYOUT = ('SynchronizedSeesawLoss', 'PairwiseBalancedSeesawLoss', 'GroupSoftmaxLoss')
LOSSES = SOFTMAX + OBJECTNESS + SIGMOID + OWN_LAYOUT
PREDICTORS = ('Linear', 'CosineLinear', 'ScaledLinear', 'DisAlignLinear', 'TDELinear')
FREQUENCY = dict(type='ImageFrequency')
AUGMENTERS = {
    'none': None,
    'FHM': dict(type='FeatureHallucinator', indicator=FREQUENCY),
    'LOCE': dict(type='MemorySampler', indicator=FREQUENCY),
    'RIO': dict(type='FeatureReplay'),
    'FASA': dict(type='FASA', start=0),
}
COUNTS = np.array([900, 500, 90, 50, 9, 1])
TABLE = ClassTable(tuple('abcdef'), COUNTS, COUNTS, num_images=1000, groups=LVIS_GROUPS,
                   group=np.array([2, 2, 1, 1, 0, 0]))


def box_head(loss, predictor):
    return dict(
        type='Shared2FCBBoxHead', in_channels=CHANNELS, fc_out_channels=16, roi_feat_size=7,
        num_classes=C, reg_class_agnostic=True, loss_cls=dict(type=loss),
        cls_predictor_cfg=dict(type=predictor),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=[0.1, 0.1, 0.2, 0.2]))


def build(loss, predictor, augmenter, cascade=False):
    train_cfg = dict(
        assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5),
        sampler=dict(type='RandomSampler', num=16, pos_fraction=0.5), pos_weight=-1)
    cfg = dict(
        type='LongTailCascadeRoIHead' if cascade else 'LongTailRoIHead',
        augmenter=AUGMENTERS[augmenter],
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=7),
            out_channels=CHANNELS, featmap_strides=[4]),
        bbox_head=[box_head(loss, predictor)] * 2 if cascade else box_head(loss, predictor),
        train_cfg=[train_cfg] * 2 if cascade else train_cfg,
        test_cfg=dict(score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=9))
    stages = dict(num_stages=2, stage_loss_weights=[1, 0.5]) if cascade else {}
    return MODELS.build(Config(cfg | stages)._cfg_dict)


def step(head):
    """Losses and detections of a batch of two images after what hooks tell."""
    torch.manual_seed(0)
    head.init_weights()
    for module in head.modules():
        if hasattr(module, 'set_class_counts'):
            module.set_class_counts(TABLE)
    for module in head.modules():
        if hasattr(module, 'start_epoch'):
            module.start_epoch(3)
    x = (torch.rand(2, CHANNELS, 16, 16),)
    gt = torch.tensor([[4.0, 4, 30, 30], [30, 30, 60, 60]])
    samples = []
    for labels in ([0, 4], [5, 2]):
        sample = DetDataSample(metainfo=dict(img_shape=(64, 64), scale_factor=(1, 1)))
        sample.gt_instances = InstanceData(bboxes=gt, labels=torch.tensor(labels))
        sample.ignored_instances = InstanceData(bboxes=gt[:0], labels=torch.tensor([]).long())
        samples.append(sample)

    def proposals():
        boxes = torch.cat([gt + 2, gt - 2, 40 * torch.rand(20, 4)])
        boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 4)
        return InstanceData(bboxes=boxes.clamp(0, 64), scores=torch.ones(len(boxes)))

    for _ in range(2):  # memories and statistics begin empty
        losses = head.train().loss(x, [proposals() for _ in samples], samples)
    total = sum(value.sum() for name, value in losses.items() if 'loss' in name)
    total.backward()
    with torch.no_grad():
        detections = head.eval().predict(x, [proposals() for _ in samples], samples)
    return total, detections


def is_sensible(loss, predictor, augmenter):
    """What the methods themselves say: who needs a softmax over C + 1, a background, one layer."""
    softmax = loss in SOFTMAX
    if predictor == 'TDELinear' or augmenter == 'FASA':
        return softmax
    return not (predictor == 'DisAlignLinear' and loss in SIGMOID + OWN_LAYOUT)


@pytest.mark.parametrize('loss', LOSSES)
def test_a_step_of_every_combination_in_one_head_trains_or_is_refused(loss):
    for predictor, augmenter in product(PREDICTORS, AUGMENTERS):
        case = f'{loss}, {predictor}, {augmenter}'
        if is_sensible(loss, predictor, augmenter):
            head = build(loss, predictor, augmenter)
            total, detections = step(head)
            assert total.isfinite() and all(len(found) for found in detections), case
            grads = [p.grad for p in head.bbox_head.fc_cls.parameters() if p.grad is not None]
            assert any(grad.any() for grad in grads), case
            assert all(grad.isfinite().all() for grad in grads), case
        else:
            with pytest.raises((TypeError, ValueError), match=f'{loss}|{predictor}|FASA'):
                build(loss, predictor, augmenter)


@pytest.mark.parametrize('loss', LOSSES)
def test_a_step_of_every_loss_and_augmenter_in_a_cascade_trains(loss):
    for augmenter in AUGMENTERS:
        if is_sensible(loss, 'Linear', augmenter):
            total, detections = step(build(loss, 'Linear', augmenter, cascade=True))
            assert total.isfinite() and all(len(found) for found in detections), augmenter
