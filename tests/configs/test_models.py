"""Every config as a model: its classes, its weights of stage 1, a training step, a prediction."""
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from bacl.annotations import ClassTable
from bacl.engine.checking.class_checks import check_class_counts
from bacl.engine.checking.load_report import compare_weights
from mmdet.registry import HOOKS, MODELS
from mmdet.testing import demo_mm_inputs

NUM_CLASSES = 20
CLASSIFIER_PARTS = ('fc_cls', 'fc_reg', 'rpn_head', 'mask_head')  # what stage 2 trains
FROZEN_BY_BACKBONE = {
    'ResNet': ('backbone.conv1.', 'backbone.bn1.', 'backbone.layer1.'),
    'SwinTransformer': (),
    'EfficientNetLite0': ('backbone.stem.', *(f'backbone.blocks.{i}.' for i in range(5))),
}


@pytest.fixture
def shrink(box_heads):
    """A function that gives a model few classes and RoIs, and no pretrained weights."""

    def shrunk(model):
        model.backbone.init_cfg = None  # a download, or a file of another package
        model.train_cfg.rpn_proposal.max_per_img = model.test_cfg.rpn.max_per_img = 20
        model.test_cfg.rcnn.max_per_img = 5
        stages = model.train_cfg.rcnn
        for stage in stages if isinstance(stages, list) else [stages]:
            stage.sampler.num = 16
        for head in box_heads(model):
            for part in (head, head.loss_cls):
                if 'num_classes' in part:
                    part.num_classes = NUM_CLASSES
        if 'mask_head' in model.roi_head:
            model.roi_head.mask_head.num_classes = NUM_CLASSES
        return model

    return shrunk


@pytest.fixture
def dataset():
    """What hooks ask a dataset for. Class 0 is not in it."""
    counts = 2 * np.arange(NUM_CLASSES)
    names = tuple(f'class {label}' for label in range(NUM_CLASSES))
    return SimpleNamespace(metainfo=dict(classes=names),
                           class_table=lambda: ClassTable(names, counts, counts, num_images=100))


# Classes.


def test_every_part_of_the_model_has_the_classes_of_the_dataset(config_name, cfg, build_shapes):
    dataset = SimpleNamespace(metainfo=dict(classes=range(cfg.num_classes)))
    check_class_counts(build_shapes(config_name), dataset)
    assert cfg.num_classes == {
        'lvis-v0.5': 1230, 'lvis-v1': 1203, 'coco-lt': 80,
        'emoji-lt-mini': 120, 'emoji-lt-smoke': 24}[config_name.split('_')[
            2 if 'emoji-lt' in config_name else -1]]


# Stage 1.


def test_stage_2_and_its_stage_1_read_the_same_data(cfg, load_config, innermost):
    is_stage2 = cfg.model.type == 'DecoupledTwoStageDetector'
    assert ('stage1_config' in cfg) == is_stage2
    if not is_stage2:
        return
    stage1 = load_config(cfg.stage1_config)
    assert 'stage1_config' not in stage1
    for split in ('train', 'val', 'test'):
        data, data_of_stage1 = (
            innermost(c[f'{split}_dataloader'].dataset) for c in (cfg, stage1))
        for key in ('type', 'data_root', 'ann_file', 'data_prefix'):
            assert data[key] == data_of_stage1[key]
        assert cfg.get(f'{split}_evaluator') == stage1.get(f'{split}_evaluator')


def test_stage_2_finds_all_weights_in_its_stage_1(config_name, cfg, build_shapes):
    if 'stage1_config' not in cfg:
        return
    stage1, stage2 = build_shapes(cfg.stage1_config), build_shapes(config_name)
    report = compare_weights(stage2, stage1.state_dict())
    assert not report.missing and not report.misfit and not report.unused
    assert set(report.loaded) == set(stage1.state_dict())


# One step.


def run_hooks(cfg, model, dataset):
    """Do what a runner's hooks do with model and dataset before the first epoch."""
    runner = SimpleNamespace(
        model=model, epoch=0, hooks=[], train_dataloader=SimpleNamespace(dataset=dataset))
    hooks = [HOOKS.build(hook) for hook in cfg.get('custom_hooks', [])]
    for event in ('before_train', 'before_train_epoch'):
        for hook in [HOOKS.build(cfg.default_hooks.class_check), *hooks]:
            getattr(hook, event)(runner)


def test_model_learns_what_it_should_and_predicts(cfg, shrink, dataset):
    torch.manual_seed(0)
    model = MODELS.build(shrink(cfg.model))
    for part in (model.neck, model.rpn_head, model.roi_head):
        part.init_weights()
    model.train()
    run_hooks(cfg, model, dataset)
    has_masks = model.with_mask
    batch = demo_mm_inputs(2, [(3, 64, 96), (3, 96, 64)], num_items=[3, 1],
                           num_classes=NUM_CLASSES, with_mask=has_masks)

    loss, _ = model.parse_losses(model(**model.data_preprocessor(batch, True), mode='loss'))
    loss.backward()
    assert torch.isfinite(loss)
    names = {name for name, _ in model.named_parameters()}
    if cfg.model.type == 'DecoupledTwoStageDetector':
        expected = {name for name in names if any(part in name for part in CLASSIFIER_PARTS)}
    else:
        frozen = FROZEN_BY_BACKBONE[cfg.model.backbone.type]
        expected = {name for name in names if not name.startswith(frozen)}
        assert all(any(name.startswith(prefix) for name in names) for prefix in frozen)
    gradients = {name: value.grad for name, value in model.named_parameters()
                 if value.grad is not None}
    assert set(gradients) == expected
    # The upper levels may lack anchors inside of images as small as these.
    assert all(gradient.any() or name.startswith('neck.fpn_convs.')
               for name, gradient in gradients.items())

    model.eval()
    with torch.no_grad():
        results = model(**model.data_preprocessor(batch, False), mode='predict')
    for result in results:
        instances = result.pred_instances
        assert 0 < len(instances) <= cfg.model.test_cfg.rcnn.max_per_img
        assert torch.isfinite(instances.bboxes).all() and (instances.labels < NUM_CLASSES).all()
        assert ((instances.scores >= 0) & (instances.scores <= 1)).all()
        assert ('masks' in instances) == has_masks
        if has_masks:
            assert instances.masks.shape == (len(instances), *result.ori_shape)


def test_box_head_starts_as_mmdets_except_for_the_prior_of_sigmoids(cfg, shrink, box_heads):
    for head in box_heads(shrink(cfg.model)):
        head.in_channels = head.fc_out_channels = 8
        ours, mmdets = MODELS.build(head), MODELS.build({**head, 'init_cfg': None})
        for built in (ours, mmdets):
            torch.manual_seed(0)
            built.init_weights()
        if head.loss_cls.type not in ('CrossEntropyLoss', 'SeesawLoss'):
            # The logit of the probability 0.001.
            torch.nn.init.constant_(mmdets.fc_cls.bias, -math.log(999))
        theirs = mmdets.state_dict()
        for key, value in ours.state_dict().items():
            torch.testing.assert_close(value, theirs[key], equal_nan=True)
