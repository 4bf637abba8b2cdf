"""Parts of methods, each with each: a step trains, or it is refused with the reason.

Losses, predictors and augmenters in one RoI head; losses of every kind and augmenters in whole
detectors, in both stages, on images of every sampler.
"""
from itertools import product

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.annotations import ClassTable
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.datasets import ClassImagePairs, EpisodicSampler, RepeatFactorSampler
from bacl.models.losses import LongTailLoss
from mmdet.datasets.samplers import ClassAwareSampler
from mmdet.registry import DATASETS, MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dataset import ClassBalancedDataset, DefaultSampler, pseudo_collate
from mmengine.structures import InstanceData
from torch.utils.data import DataLoader

C, CHANNELS = 6, 8
SOFTMAX = ('SoftmaxCELoss', 'GRWCrossEntropyLoss', 'BalancedSoftmaxLoss', 'EquilibriumLoss',
           'PairwiseBalancedSoftmaxLoss', 'C2AMLoss')
OBJECTNESS = ('ObjectnessBCELoss', 'EqualizationLossV2', 'FCBL', 'AdaptiveClassSuppressionLoss',
              'PairwiseBalancedEqualizationLossV2', 'EffectiveClassMarginLoss', 'ROGLoss')
SIGMOID = ('SigmoidBCELoss', 'EqualizationLoss', 'DropLoss', 'FederatedLoss',
           'BalancedSigmoidLoss', 'MetaBalancedSigmoidLoss', 'EqualizedFocalLoss', 'GumbelCELoss',
           'GumbelDropLoss')
OWN_LAYOUT = ('SynchronizedSeesawLoss', 'PairwiseBalancedSeesawLoss', 'GroupSoftmaxLoss')
LOSSES = SOFTMAX + OBJECTNESS + SIGMOID + OWN_LAYOUT
ONE_OF_EACH_KIND = ('BalancedSoftmaxLoss', 'FCBL', 'DropLoss', 'GroupSoftmaxLoss')
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


def box_head(loss, predictor, head_type='Shared2FCBBoxHead', num_classes=C):
    return dict(
        type=head_type, in_channels=CHANNELS, fc_out_channels=16, roi_feat_size=7,
        num_classes=num_classes, reg_class_agnostic=True, loss_cls=dict(type=loss),
        cls_predictor_cfg=dict(type=predictor),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=[0.1, 0.1, 0.2, 0.2]))


def roi_head(heads, augmenter, **changes):
    """Config of a RoI head with a box head, or of a cascade with a list of them."""
    train_cfg = dict(
        assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5),
        sampler=dict(type='RandomSampler', num=16, pos_fraction=0.5), pos_weight=-1)
    test_cfg = dict(score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=9)
    cfg = dict(
        type='LongTailRoIHead', bbox_head=heads, augmenter=AUGMENTERS[augmenter],
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=7),
            out_channels=CHANNELS, featmap_strides=[4]),
        train_cfg=train_cfg, test_cfg=test_cfg)
    if isinstance(heads, list):
        num = len(heads)
        cfg |= dict(type='LongTailCascadeRoIHead', num_stages=num, stage_loss_weights=[1] * num,
                    train_cfg=[train_cfg] * num)
    return cfg | changes


def build(loss, predictor, augmenter, num_stages=1, head_type='Shared2FCBBoxHead', **changes):
    head = box_head(loss, predictor, head_type)
    return MODELS.build(Config(roi_head(
        head if num_stages == 1 else [head] * num_stages, augmenter, **changes))._cfg_dict)


def tell(model, table):
    """What hooks tell the parts of a model before training."""
    for module in model.modules():
        if hasattr(module, 'set_class_counts'):
            module.set_class_counts(table)
    for module in model.modules():
        if hasattr(module, 'start_epoch'):
            module.start_epoch(3)


def step(head):
    """Losses and detections of a batch of two images after what hooks tell."""
    torch.manual_seed(0)
    head.init_weights()
    tell(head, TABLE)
    x = (torch.rand(2, CHANNELS, 16, 16),)
    gt = torch.tensor([[4.0, 4, 30, 30], [30, 30, 60, 60]])
    samples = []
    for labels in ([0, 4], [5, 2]):
        sample = DetDataSample(metainfo=dict(
            img_shape=(64, 64), scale_factor=(1, 1), sampled_class=labels[0]))
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
    """What the methods themselves say: some are for a softmax over classes and background."""
    needs_softmax = predictor in ('TDELinear', 'DisAlignLinear') or augmenter == 'FASA'
    needs_cosine = loss == 'C2AMLoss'
    return (loss in SOFTMAX or not needs_softmax) and (predictor == 'CosineLinear' or
                                                       not needs_cosine)


def a_predictor(loss):
    """One that goes with the loss."""
    return 'CosineLinear' if loss == 'C2AMLoss' else 'Linear'


def check_gradients(layer, case):
    grads = [p.grad for p in layer.parameters() if p.grad is not None]
    assert any(grad.any() for grad in grads), case
    assert all(grad.isfinite().all() for grad in grads), case


@pytest.mark.parametrize('loss', LOSSES)
def test_a_loss_says_whether_a_weight_of_all_samples_is_a_factor_of_it(loss):
    torch.manual_seed(0)
    module = MODELS.build(box_head(loss, a_predictor(loss))).loss_cls.eval()  # draws nothing
    tell(module, TABLE)
    logits, labels = torch.randn(8, module.num_channels), torch.tensor([0, 4, 5, 2, 6, 6, 6, 6])
    one, two = (module(logits, labels, torch.full((8,), weight)) for weight in (0.1, 0.2))
    assert torch.allclose(two, 2 * one) != module.has_relative_weights


def test_every_loss_for_box_heads_with_any_predictor_is_here():
    registered = {name for name, component in MODELS.module_dict.items() if isinstance(
        component, type) and issubclass(component, LongTailLoss)
        and component.__module__.startswith('bacl.')}
    assert registered - set(LOSSES) == {
        'EqualizedQualityFocalLoss', 'FederatedFocalLoss', 'ForestLoss'}


@pytest.mark.parametrize('loss', LOSSES)
def test_a_step_of_every_combination_in_one_head_trains_or_is_refused(loss):
    for predictor, augmenter in product(PREDICTORS, AUGMENTERS):
        case = f'{loss}, {predictor}, {augmenter}'
        if is_sensible(loss, predictor, augmenter):
            head = build(loss, predictor, augmenter)
            total, detections = step(head)
            assert total.isfinite() and all(len(found) for found in detections), case
            check_gradients(head.bbox_head.fc_cls, case)
        else:
            with pytest.raises((TypeError, ValueError), match=f'{loss}|{predictor}|FASA'):
                build(loss, predictor, augmenter)


@pytest.mark.parametrize('loss', LOSSES)
def test_a_step_of_every_loss_and_augmenter_in_a_cascade_trains(loss):
    predictor = a_predictor(loss)
    for augmenter in AUGMENTERS:
        if is_sensible(loss, predictor, augmenter):
            total, detections = step(build(loss, predictor, augmenter, num_stages=2))
            assert total.isfinite() and all(len(found) for found in detections), augmenter


@pytest.mark.parametrize('loss', LOSSES)
def test_a_step_in_an_iterative_head_trains_or_is_refused(loss):
    for predictor in PREDICTORS:
        if not is_sensible(loss, predictor, 'none'):
            continue  # as in other heads
        if predictor == 'TDELinear' or loss == 'EquilibriumLoss':  # who is to see each RoI once
            with pytest.raises(TypeError, match='3 times, but (TDELinear|MeanClassificationScore)'):
                build(loss, predictor, 'none', head_type='IterativeBBoxHead')
        else:
            head = build(loss, predictor, 'none', head_type='IterativeBBoxHead')
            total, detections = step(head)
            assert total.isfinite() and all(len(found) for found in detections), predictor
            check_gradients(head.bbox_head, predictor)


@pytest.mark.parametrize('loss', LOSSES)
def test_a_step_of_simcal_trains_with_every_loss_and_no_augmenter(loss):
    simcal = dict(type='SimCalRoIHead', calibration_loss=dict(type=loss), threshold=60)
    head = build(loss, a_predictor(loss), 'none', **simcal)
    total, detections = step(head)
    assert total.isfinite() and all(len(found) for found in detections)
    check_gradients(head.calibration_heads[0].fc_cls, loss)
    with pytest.raises(TypeError, match='augmenter=. expects None'):
        build(loss, a_predictor(loss), 'FHM', **simcal)


# Whole detectors.


def detector(name, stage, loss, augmenter, num_classes):
    """A small Faster, Cascade or Mask R-CNN on images of 64 x 64 pixels."""
    head = box_head(loss, 'Linear', num_classes=num_classes)
    roi = roi_head([head] * 2 if name == 'CascadeRCNN' else head, augmenter)
    train_cfg, test_cfg = roi.pop('train_cfg'), roi.pop('test_cfg')
    if name == 'MaskRCNN':
        train_cfg, test_cfg = train_cfg | dict(mask_size=14), test_cfg | dict(mask_thr_binary=0.5)
        roi |= dict(
            mask_roi_extractor=roi['bbox_roi_extractor'],
            mask_head=dict(type='FCNMaskHead', num_convs=1, in_channels=CHANNELS,
                           conv_out_channels=CHANNELS, num_classes=num_classes,
                           loss_mask=dict(type='CrossEntropyLoss', use_mask=True)))
    return MODELS.build(Config(dict(
        type=name if stage == 1 else 'DecoupledTwoStageDetector',
        data_preprocessor=dict(type='DetDataPreprocessor', pad_mask=True),
        backbone=dict(type='ResNet', depth=18, base_channels=CHANNELS, num_stages=1, strides=(1,),
                      dilations=(1,), out_indices=(0,)),
        neck=dict(type='FPN', in_channels=[CHANNELS], out_channels=CHANNELS, num_outs=1),
        rpn_head=dict(
            type='RPNHead', in_channels=CHANNELS, feat_channels=CHANNELS, anchor_generator=dict(
                type='AnchorGenerator', scales=[4], ratios=[1.0], strides=[4])),
        roi_head=roi,
        train_cfg=dict(
            rpn=dict(assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.7, neg_iou_thr=0.3,
                                   min_pos_iou=0.3),
                     sampler=dict(type='RandomSampler', num=16, pos_fraction=0.5,
                                  add_gt_as_proposals=False),
                     allowed_border=-1, pos_weight=-1),
            rpn_proposal=dict(nms_pre=50, max_per_img=20, min_bbox_size=0,
                              nms=dict(type='nms', iou_threshold=0.7)),
            rcnn=train_cfg),
        test_cfg=dict(rpn=dict(nms_pre=50, max_per_img=20, min_bbox_size=0,
                               nms=dict(type='nms', iou_threshold=0.7)), rcnn=test_cfg)))._cfg_dict)


@pytest.fixture(scope='module')
def images(write_lvis, tmp_path_factory):
    """A dataset, and a batch of it by each sampler."""
    root = write_lvis(tmp_path_factory.mktemp('lvis'), 'v1')
    dataset = DATASETS.build(dict(
        type='LongTailLVISV1Dataset', data_root=str(root), data_prefix=dict(img=''),
        ann_file='annotations/lvis_v1_train.json', filter_cfg=dict(filter_empty_gt=True),
        metainfo=dict(classes=('yoke', 'acorn', 'zebra')),
        pipeline=[dict(type='LoadImageFromFile'),
                  dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
                  dict(type='Resize', scale=(64, 64), keep_ratio=False),
                  dict(type='PackDetInputs')]))
    balanced, pairs = ClassBalancedDataset(dataset, 0.9), ClassImagePairs(dataset)
    samplers = [DefaultSampler(dataset), DefaultSampler(balanced), ClassAwareSampler(dataset),
                RepeatFactorSampler(dataset, 0.9, instance_aware=True),
                EpisodicSampler(pairs, num_episodes=2, classes_per_episode=2)]
    sources = [dataset, balanced, dataset, dataset, pairs]
    return dataset, [next(iter(DataLoader(source, 2, sampler=sampler, collate_fn=pseudo_collate)))
                     for source, sampler in zip(sources, samplers, strict=True)]


@pytest.mark.parametrize('stage', [1, 2])
@pytest.mark.parametrize('name', ['FasterRCNN', 'CascadeRCNN', 'MaskRCNN'])
def test_a_step_of_every_detector_trains_in_both_stages_on_images_of_every_sampler(
        name, stage, images):
    dataset, batches = images
    num_classes = len(dataset.metainfo['classes'])
    for number, (loss, augmenter) in enumerate(product(ONE_OF_EACH_KIND, AUGMENTERS)):
        if not is_sensible(loss, 'Linear', augmenter):
            continue  # refused as in a head alone
        # An augmenter meets another sampler with each loss.
        batch = batches[(number + number // len(AUGMENTERS)) % len(batches)]
        case = f'{loss}, {augmenter}'
        torch.manual_seed(0)
        model = detector(name, stage, loss, augmenter, num_classes)
        model.roi_head.init_weights()
        tell(model, dataset.class_table())
        for _ in range(2):  # memories and statistics begin empty
            losses = model.train()(**model.data_preprocessor(batch, True), mode='loss')
        total, _ = model.parse_losses(losses)
        total.backward()
        assert total.isfinite(), case
        heads = model.roi_head.bbox_head
        heads = list(heads) if name == 'CascadeRCNN' else [heads]
        for head in heads:
            check_gradients(head.fc_cls, case)
        learns = [part.grad is not None for part in
                  (model.backbone.layer1[0].conv1.weight, heads[0].shared_fcs[0].weight)]
        assert learns == [stage == 1] * 2, case
        with torch.no_grad():
            found = model.eval()(**model.data_preprocessor(batch, False), mode='predict')
        assert all(len(sample.pred_instances) for sample in found), case
        assert all(('masks' in sample.pred_instances) == (name == 'MaskRCNN') for sample in found)
