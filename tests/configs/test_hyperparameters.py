"""The numbers of the paper (Section IV-B) and, where it is silent, of the official code.

What the model does with a setting is read off the built model, so a setting that does not arrive
is found.
"""
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.optim import build_optim_wrapper

SETTINGS = [(f'{detector}_{backbone}_fpn', data) for detector, dataset_names in [
    ('faster-rcnn', ['lvis-v0.5', 'lvis-v1', 'coco-lt']),
    ('cascade-rcnn', ['lvis-v1']),
    ('mask-rcnn', ['lvis-v1'])] for data in dataset_names for backbone in ('r50', 'r101')]
METHODS = ['sce-2x', 'bacl-stage1', 'bacl-stage2']
NAMES = {method: [f'{detector}_{method}_{data}' for detector, data in SETTINGS]
         for method in METHODS}
every_setting = pytest.mark.parametrize('detector, data', SETTINGS)
every_main_config = pytest.mark.parametrize('name', [n for names in NAMES.values() for n in names])
every_stage2 = pytest.mark.parametrize('name', NAMES['bacl-stage2'])
LVIS_BACL = 'faster-rcnn_r50_fpn_bacl-stage2_lvis-v0.5'
CASCADE_STDS = [(0.1, 0.1, 0.2, 0.2), (0.05, 0.05, 0.1, 0.1), (0.033, 0.033, 0.067, 0.067)]


def as_list(value):
    return list(value) if isinstance(value, (list, torch.nn.ModuleList)) else [value]


# Training.


@every_setting
@pytest.mark.parametrize('method, epochs, steps, weight_decay', [
    ('sce-2x', 24, [16, 22], 1e-4),
    ('bacl-stage1', 12, [8, 11], 5e-5),
    ('bacl-stage2', 12, [8, 11], 1e-4)])
def test_schedule_is_the_papers(load_config, detector, data, method, epochs, steps, weight_decay):
    cfg = load_config(f'{detector}_{method}_{data}')
    assert cfg.train_cfg.max_epochs == epochs and cfg.train_cfg.type == 'EpochBasedTrainLoop'
    warmup, decay = cfg.param_scheduler
    assert (warmup.type, warmup.start_factor, warmup.end, warmup.by_epoch) == (
        'LinearLR', 0.001, 500, False)
    assert (decay.type, decay.milestones, decay.gamma, decay.end, decay.by_epoch) == (
        'MultiStepLR', steps, 0.1, epochs, True)
    optimizer = build_optim_wrapper(torch.nn.Conv2d(1, 1, 1), cfg.optim_wrapper)
    assert isinstance(optimizer.optimizer, torch.optim.SGD) and optimizer.clip_grad_kwargs is None
    for group in optimizer.param_groups:
        assert (group['lr'], group['momentum'], group['weight_decay'], group['nesterov']) == (
            0.02, 0.9, weight_decay, False)


@every_main_config
def test_batch_is_two_images_on_each_of_eight_gpus(load_config, name):
    cfg = load_config(name)
    loader = cfg.train_dataloader
    assert loader.batch_size == 2
    assert cfg.auto_scale_lr.to_dict() == dict(enable=False, base_batch_size=16)
    assert loader.sampler == dict(type='DefaultSampler', shuffle=True)
    assert loader.batch_sampler == dict(type='AspectRatioBatchSampler')


@every_setting
@pytest.mark.parametrize('method', METHODS)
def test_images_are_sampled_without_repeats(load_config, detector, data, method):
    dataset = load_config(f'{detector}_{method}_{data}').train_dataloader.dataset
    types = [dataset.type]
    while 'dataset' in dataset:
        dataset = dataset.dataset
        types.append(dataset.type)
    source = {'lvis-v0.5': 'LongTailLVISV05Dataset', 'lvis-v1': 'LongTailLVISV1Dataset',
              'coco-lt': 'CocoLTDataset'}[data]
    pastes = method == 'bacl-stage1'
    assert types == (['MultiImageMixDataset', source] if pastes else [source])
    assert dataset.filter_cfg == dict(filter_empty_gt=True, min_size=32)


@pytest.mark.parametrize('name', NAMES['sce-2x'] + NAMES['bacl-stage2'])
def test_multi_scale_is_the_papers(load_config, name):
    pipeline = load_config(name).train_dataloader.dataset.pipeline
    assert [step.type for step in pipeline] == [
        'LoadImageFromFile', 'LoadAnnotations', 'RandomChoiceResize', 'RandomFlip', 'DropEmptyGT',
        'PackDetInputs']
    assert [tuple(scale) for scale in pipeline[2].scales] == [
        (1333, side) for side in range(640, 801, 32)]
    assert pipeline[2].keep_ratio and pipeline[3].prob == 0.5


@pytest.mark.parametrize('name', NAMES['bacl-stage1'])
def test_copy_paste_is_the_papers(load_config, name):
    dataset = load_config(name).train_dataloader.dataset
    steps = {step.type: step for step in dataset.dataset.pipeline}
    assert list(steps) == ['LoadImageFromFile', 'LoadCroppedMasks', 'RandomResize', 'RandomCrop',
                           'FilterAnnotations', 'DropEmptyGT', 'ContiguousRandomFlip', 'KeyMapper']
    pad, = steps['KeyMapper'].transforms
    assert pad == dict(type='Pad', size=(1280, 1280))
    assert tuple(steps['RandomResize'].scale) == (1280, 1280)
    assert tuple(steps['RandomResize'].ratio_range) == (0.8, 1.25)
    assert tuple(steps['RandomCrop'].crop_size) == (1280, 1280)
    assert steps['ContiguousRandomFlip'].prob == 0.5
    assert [step.type for step in dataset.pipeline] == [
        'CroppedCopyPaste', 'FilterAnnotations', 'PackDetInputs']
    assert dataset.pipeline[0].max_num_pasted == 100


# The model in training.


@every_setting
@pytest.mark.parametrize('method, num_proposals', [
    ('sce-2x', 1000), ('bacl-stage1', 2000), ('bacl-stage2', 2000)])
def test_proposals_are_the_papers(build_shapes, detector, data, method, num_proposals):
    model = build_shapes(f'{detector}_{method}_{data}')
    proposals = model.train_cfg.rpn_proposal
    assert (proposals.max_per_img, proposals.nms_pre, proposals.nms.iou_threshold) == (
        num_proposals, 2000, 0.7)
    assigner, sampler = model.rpn_head.assigner, model.rpn_head.sampler
    assert (assigner.pos_iou_thr, assigner.neg_iou_thr, assigner.min_pos_iou) == (0.7, 0.3, 0.3)
    assert (sampler.num, sampler.pos_fraction, sampler.add_gt_as_proposals) == (256, 0.5, False)


@every_main_config
def test_rois_are_sampled_as_in_the_paper(build_shapes, name):
    roi_head = build_shapes(name).roi_head
    is_cascade = name.startswith('cascade')
    ious = [0.5, 0.6, 0.7] if is_cascade else [0.5]
    assigners, samplers = as_list(roi_head.bbox_assigner), as_list(roi_head.bbox_sampler)
    assert [(a.pos_iou_thr, a.neg_iou_thr, a.min_pos_iou) for a in assigners] == [
        (iou, iou, iou) for iou in ious]
    assert all(a.match_low_quality == (not is_cascade) for a in assigners)
    for sampler in samplers:
        assert (sampler.num, sampler.pos_fraction, sampler.add_gt_as_proposals) == (
            512, 0.25, True)


@every_main_config
def test_box_heads_are_the_papers(build_shapes, box_heads, name):
    model = build_shapes(name)
    heads = box_heads(model)
    is_cascade = name.startswith('cascade')
    assert [tuple(head.bbox_coder.stds) for head in heads] == CASCADE_STDS[:len(heads)]
    assert len(heads) == (3 if is_cascade else 1)
    for head in heads:
        assert [fc.out_features for fc in head.shared_fcs] == [1024, 1024]
        assert head.reg_class_agnostic == is_cascade
        assert type(head.loss_bbox).__name__ == ('SmoothL1Loss' if is_cascade else 'L1Loss')
    if is_cascade:
        assert model.roi_head.stage_loss_weights == [1, 0.5, 0.25]
    for extractor in as_list(model.roi_head.bbox_roi_extractor):
        for layer in extractor.roi_layers:
            assert (tuple(layer.output_size), layer.sampling_ratio) == ((7, 7), 0)


@every_main_config
def test_backbone_is_the_papers(build_shapes, load_config, name):
    backbone = build_shapes(name).backbone
    depth = 101 if '_r101_' in name else 50
    assert (backbone.depth, backbone.frozen_stages, backbone.norm_eval) == (depth, 1, True)
    expected = None if 'stage2' in name else dict(
        type='Pretrained', checkpoint=f'torchvision://resnet{depth}')
    assert load_config(name).model.backbone.init_cfg == expected


@every_stage2
def test_every_stage_2_has_the_papers_loss(build_shapes, box_heads, name):
    for head in box_heads(build_shapes(name)):
        loss = head.loss_cls
        assert type(loss).__name__ == 'FCBL' and loss.loss_weight == 1
        assert (loss.alpha, loss.prob_thr, loss.above_true) == (0.85, 0.7, True)
        assert loss.with_margin and loss.with_weight
        assert type(loss.indicator).__name__ == 'ConfusionMatrix' and not loss.indicator.hard


@every_stage2
def test_every_stage_2_has_the_papers_hallucination(build_shapes, box_heads, name):
    model = build_shapes(name)
    hallucinators = model.roi_head.augmenters
    assert len(hallucinators) == len(box_heads(model))
    for hallucinator in hallucinators:
        assert hallucinator.num_sampled_classes == 8  # c
        assert hallucinator.num_features_per_class == 12  # m
        assert hallucinator.distribution.momentum == pytest.approx(1 - 0.9)  # beta
        assert hallucinator.box_generator.num_boxes == 16


@every_stage2
def test_weights_and_hallucination_start_at_once(load_config, name):
    hooks = {hook.type: hook for hook in load_config(name).custom_hooks}
    assert set(hooks) == {'LongTermIndicatorHook', 'ShortTermIndicatorHook'}
    hook = hooks['ShortTermIndicatorHook']
    assert (hook.reweight_start, hook.hallucination_start) == (0, 0)


def test_mean_classification_score_has_the_papers_gamma(build_shapes):
    name = LVIS_BACL.replace('_lvis', '-mean-classification-score_lvis')
    assert build_shapes(name).roi_head.bbox_head.loss_cls.indicator.gamma == 0.9


@pytest.mark.parametrize('backbone', ['r50', 'r101'])
def test_losses_of_other_papers_have_their_numbers(build_shapes, backbone):
    eqlv2, seesaw = (
        build_shapes(f'faster-rcnn_{backbone}_fpn_{method}-2x_coco-lt').roi_head.bbox_head.loss_cls
        for method in ('eqlv2', 'seesaw'))
    assert (eqlv2.gamma, eqlv2.mu, eqlv2.alpha) == (12, 0.8, 4)
    assert (seesaw.p, seesaw.q) == (0.8, 2)


# Testing.


@every_main_config
def test_testing_is_the_papers(load_config, build_shapes, name):
    test_cfg = build_shapes(name).test_cfg
    assert (test_cfg.rcnn.score_thr, test_cfg.rcnn.max_per_img, test_cfg.rcnn.nms.iou_threshold
            ) == (1e-4, 300, 0.5)
    assert (test_cfg.rpn.nms_pre, test_cfg.rpn.max_per_img) == (1000, 1000)
    cfg = load_config(name)
    assert cfg.test_dataloader.batch_size == 1
    resize = cfg.test_dataloader.dataset.pipeline[1]
    assert (resize.type, tuple(resize.scale), resize.keep_ratio) == ('Resize', (1333, 800), True)


@pytest.mark.parametrize('name', [n for names in NAMES.values() for n in names if 'mask' in n])
def test_masks_are_predicted_by_twenty_times_a_cosine(load_config, build_shapes, name):
    model = build_shapes(name)
    assert model.train_cfg.rcnn.mask_size == 28 and model.test_cfg.rcnn.mask_thr_binary == 0.5
    for layer in model.roi_head.mask_roi_extractor.roi_layers:
        assert (tuple(layer.output_size), layer.sampling_ratio) == ((14, 14), 0)
    config = load_config(name).model.roi_head.mask_head
    config.num_classes = 20
    head = MODELS.build(config)
    head.init_weights()
    pixels = 3 * head.conv_logits.weight.data  # one for each class, in its direction
    logits = head.conv_logits(pixels)[..., 0, 0].detach()
    torch.testing.assert_close(logits.diagonal(), torch.full((20,), 20.0))
