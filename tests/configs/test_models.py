"""Every config as a model: its classes, its weights of stage 1, the settings of its losses.

A training step and a prediction are done once for every kind of model; models of a kind differ only
in numbers, and the numbers are checked where they arrive.
"""
import math
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from bacl.annotations import ClassTable
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.engine.checking.class_checks import check_class_counts
from bacl.engine.checking.load_report import compare_weights, leave_out_fresh_layers
from bacl.models.losses import (
    AdaptiveClassSuppressionLoss,
    ForestLoss,
    GroupSoftmaxLoss,
    GumbelCELoss,
    SoftmaxCELoss,
    SynchronizedSeesawLoss,
)
from mmdet.models.losses import CrossEntropyLoss
from mmdet.registry import HOOKS, MODELS
from mmdet.testing import demo_mm_inputs
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

# Losses of classifiers without a prior probability.
SOFTMAX_LOSSES = (CrossEntropyLoss, ForestLoss, GroupSoftmaxLoss, SoftmaxCELoss,
                  SynchronizedSeesawLoss)
NUM_CLASSES = 20
CLASSES_OF_DATA = {'lvis-v0.5': 1230, 'lvis-v1': 1203, 'coco-lt': 80, 'emoji-lt-mini': 120,
                   'emoji-lt-smoke': 24, 'emoji-lt-lvis-like': 1203}
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
        if model.backbone.type == 'ResNet':  # the same parts, a hundredth of the weights
            model.backbone.update(depth=18, base_channels=8)
            model.neck.in_channels = [8 * 2**level for level in model.backbone.out_indices]
        model.test_cfg.get('rcnn', model.test_cfg).max_per_img = 5
        if model.get('teacher'):  # files of other packages
            head = model.get('roi_head') or model.bbox_head
            branch = head.semantic_branch or head.text_classifier
            model.teacher = dict(
                type='RandomTeacher', embed_dims=branch.embed_dims, scale=branch.scale)
        if 'decoder' in model:  # a DETR
            model.num_queries = 20
            for part in (model.encoder, model.decoder):
                part.num_layers = 2
                part.layer_cfg.ffn_cfg.feedforward_channels = 16
        if 'roi_head' in model:
            model.train_cfg.rpn_proposal.max_per_img = model.test_cfg.rpn.max_per_img = 20
            stages = model.train_cfg.rcnn
            for stage in stages if isinstance(stages, list) else [stages]:
                stage.sampler.num = 16
        for head in box_heads(model):
            if 'roi_head' in model:
                head.fc_out_channels = 64
            if 'trees' in head.loss_cls:  # a file
                head.loss_cls.trees = [[label % number for label in range(NUM_CLASSES)]
                                       for number in head.loss_cls.num_parents]
            for part in (head, head.loss_cls):
                if 'num_classes' in part:
                    part.num_classes = NUM_CLASSES
        calibrator = model.test_cfg.get('rcnn', {}).get('calibrator') or {}
        if calibrator.pop('ann_file', None):  # a file
            calibrator.update(
                dict(image_share=[0.1] * NUM_CLASSES, dimension=[1.5] * NUM_CLASSES)
                if calibrator.type.endswith('FRACAL') else dict(counts=[10] * NUM_CLASSES))
        if 'mask_head' in model.get('roi_head', {}):
            model.roi_head.mask_head.num_classes = NUM_CLASSES
        return model

    return shrunk


@pytest.fixture
def dataset():
    """What hooks ask a dataset for. Class 0 is not in it."""
    counts = 2 * np.arange(NUM_CLASSES)
    names = tuple(f'class {label}' for label in range(NUM_CLASSES))
    table = ClassTable(names, counts, counts, 100, LVIS_GROUPS, np.arange(NUM_CLASSES) % 3)
    return SimpleNamespace(metainfo=dict(classes=names), class_table=lambda: table)


# Classes.


def test_every_part_of_the_model_has_the_classes_of_the_dataset(config_name, cfg, build_shapes):
    dataset = SimpleNamespace(metainfo=dict(classes=range(cfg.num_classes)))
    check_class_counts(build_shapes(config_name), dataset)
    assert [cfg.num_classes] == [count for data, count in CLASSES_OF_DATA.items()
                                 if data in config_name.split('_')]


# Stage 1.


def test_stage_2_and_no_other_is_decoupled_and_it_names_a_stage_1(config_name, cfg):
    is_stage2 = 'stage2' in config_name
    assert (cfg.model.type == 'DecoupledTwoStageDetector') == is_stage2
    assert 'stage1_config' in cfg or not is_stage2  # fine-tuning has one, too


def test_stage_1_is_a_config_of_a_single_stage(stage2_name, load_config, stage1_of, config_paths):
    path = config_paths[stage2_name].parent / load_config(stage2_name).stage1_config
    assert path.resolve() == config_paths[stage1_of(stage2_name)]
    assert stage1_of(path.stem) is None


def test_stage_2_and_its_stage_1_read_the_same_data(
        stage2_name, stage1_of, load_config, innermost):
    stages = [load_config(name) for name in (stage1_of(stage2_name), stage2_name)]
    for split in ('train', 'val', 'test'):
        first, second = (innermost(cfg[f'{split}_dataloader'].dataset) for cfg in stages)
        for key in ('type', 'data_root', 'ann_file', 'data_prefix'):
            assert first[key] == second[key]
        first, second = (cfg.get(f'{split}_evaluator') for cfg in stages)
        assert first == second


def test_stage_2_finds_all_weights_in_its_stage_1(stage2_name, stage1_of, build_shapes):
    stage2, weights = build_shapes(stage2_name), build_shapes(stage1_of(stage2_name)).state_dict()
    fresh = leave_out_fresh_layers(stage2, weights)
    report = compare_weights(stage2, weights, fresh)
    assert not report.missing and not report.misfit and not report.unused
    assert set(report.loaded) == set(weights)


def test_what_is_fine_tuned_has_all_weights_of_its_stage_1(
        config_paths, load_config, stage1_of, build_shapes):
    names = [name for name in config_paths if 'stage2' not in name and stage1_of(name)]
    assert names
    for name in names:
        assert load_config(name).model.backbone.init_cfg is None
        weights = build_shapes(stage1_of(name)).state_dict()
        report = compare_weights(build_shapes(name), weights, [])
        assert report.loaded and not report.misfit and not report.unused, name


# Settings.


def check_settings(config: dict, built: nn.Module, path: str) -> None:
    """Check that a component, or a part of it, has what its config says."""
    for key, value in config.items():
        found = [getattr(part, key) for part in built.modules() if hasattr(part, key)]
        if key == 'type':
            assert type(built).__name__ == value, path
        elif isinstance(value, dict):
            assert len(found) == 1, f'{path}.{key}'
            check_settings(value, found[0], f'{path}.{key}')
        else:
            assert found and all(item == value for item in found), f'{path}.{key}'


def test_settings_of_losses_and_augmenters_arrive(cfg, config_name, build_shapes, box_heads):
    model = build_shapes(config_name)
    heads = box_heads(model)
    for config, head in zip(box_heads(cfg.model), heads, strict=True):
        check_settings(config.loss_cls, head.loss_cls, 'loss_cls')
    roi_head = cfg.model.get('roi_head', {})
    config = roi_head.get('augmenter') or roi_head.get('hallucinator')
    augmenters = getattr(getattr(model, 'roi_head', None), 'augmenters', ())
    assert len(augmenters) == (len(heads) if config else 0)
    for augmenter in augmenters:
        check_settings(config, augmenter, 'augmenter')


# One step.


def choices(config, path: str = '') -> Iterator[tuple[str, str | bool | None]]:
    """All values of a nested config that are no numbers, with the path that leads there."""
    if isinstance(config, (list, tuple)):
        for item in config:
            yield from choices(item, path)
    elif isinstance(config, dict):
        for key, value in config.items():
            yield from choices(value, f'{path}.{key}')
    elif not isinstance(config, (int, float)) or isinstance(config, bool):
        yield path, config


def kinds(model: dict) -> set:
    """What a step of a model shows: its components work together, and each choice of its losses.

    A choice within a loss, such as its indicator, need not be tried in every detector.
    """
    found = set(choices(model))
    return {frozenset((path, value) for path, value in found if path.endswith('.type')
                      and 'init_cfg' not in path and '.indicator.' not in path),
            *((path, value) for path, value in found
              if '.bbox_head.loss_cls.' in path and not path.endswith('.trees'))}  # a file


def one_of_every_kind(names: list[str], load_config) -> Iterator[str]:
    """Names of configs that together are of every kind; small backbones are preferred."""
    models = {name: load_config(name).model.to_dict() for name in names}
    known = set()
    for name in sorted(names, key=lambda name: models[name]['backbone'].get('depth', 0)):
        if not kinds(models[name]) <= known:
            known |= kinds(models[name])
            yield name



def run_hooks(cfg, model, dataset):
    """Do what a runner's hooks do with model and dataset before the first epoch."""
    # As resumed: memories are not filled, for want of images.
    runner = SimpleNamespace(model=model, epoch=0, iter=1, hooks=[],
                             train_dataloader=SimpleNamespace(dataset=dataset))
    hooks = [HOOKS.build(hook) for hook in cfg.get('custom_hooks', [])
             if hook.type != 'MetaReweightHook']  # it needs a data loader and an optimizer
    default_hooks = [HOOKS.build(cfg.default_hooks[name]) for name in ('class_check', 'method')]
    for event in ('before_train', 'before_train_epoch'):
        for hook in [*default_hooks, *hooks]:
            getattr(hook, event)(runner)


def check_step(cfg, shrink, dataset):
    torch.manual_seed(0)
    model = MODELS.build(shrink(cfg.model))
    for name in ('neck', 'rpn_head', 'roi_head', 'bbox_head'):
        if hasattr(model, name):
            getattr(model, name).init_weights()
    if hasattr(model, 'level_embed'):  # of a DETR, which is made without values
        nn.init.normal_(model.level_embed)
    model.train()
    run_hooks(cfg, model, dataset)
    has_masks = model.with_mask
    batch = demo_mm_inputs(2, [(3, 64, 96), (3, 96, 64)], num_items=[3, 1],
                           num_classes=NUM_CLASSES, with_mask=has_masks)
    for sample in batch['data_samples']:  # as samplers do that draw classes
        sample.set_metainfo(dict(sampled_class=int(sample.gt_instances.labels[0])))

    loss, _ = model.parse_losses(model(**model.data_preprocessor(batch, True), mode='loss'))
    loss.backward()
    assert torch.isfinite(loss)
    names = {name for name, _ in model.named_parameters()}
    if cfg.model.type == 'DecoupledTwoStageDetector':
        parts = cfg.model.get('trainable', CLASSIFIER_PARTS)
        expected = {name for name in names if any(part in name for part in parts)}
    else:
        frozen = FROZEN_BY_BACKBONE[cfg.model.backbone.type]
        expected = {name for name in names if not name.startswith(frozen)}
        assert all(any(name.startswith(prefix) for name in names) for prefix in frozen)
        if not cfg.model.backbone.get('norm_cfg', {}).get('requires_grad', True):
            expected -= {f'{module}.{kind}' for module, layer in model.backbone.named_modules(
                prefix='backbone') if isinstance(layer, _BatchNorm) for kind in ('weight', 'bias')}
    gradients = {name: value.grad for name, value in model.named_parameters()
                 if value.grad is not None}
    assert set(gradients) == expected
    # The upper levels may lack anchors inside of images as small as these; DisAlign's confidence
    # mixes what is the same at first; the boxes of a level without objects have no loss; there are
    # no image-level pictures; the layers of a DETR for offsets and boxes start at 0, and its first
    # proposals may be in the border.
    first = ('neck.fpn_convs.', 'bbox_head.scales.', 'rpn_head.scales.', 'level_embed',
             'bbox_head.reg_branches.', 'memory_trans_fc.')
    assert all(gradient.any() or name.startswith(first) or any(
        f'.{part}.' in name for part in ('confidence', 'fc_im', 'image_fcs', 'projection'))
               for name, gradient in gradients.items())

    model.eval()
    with torch.no_grad():
        results = model(**model.data_preprocessor(batch, False), mode='predict')
    for result in results:
        instances = result.pred_instances
        test_cfg = cfg.model.test_cfg
        assert 0 < len(instances) <= test_cfg.get('rcnn', test_cfg).max_per_img
        assert torch.isfinite(instances.bboxes).all() and (instances.labels < NUM_CLASSES).all()
        assert ((instances.scores >= 0) & (instances.scores <= 1)).all()
        assert ('masks' in instances) == has_masks
        if has_masks:
            assert instances.masks.shape == (len(instances), *result.ori_shape)


def test_model_learns_what_it_should_and_predicts(
        family, config_paths, load_config, shrink, dataset):
    names = [name for name, path in config_paths.items() if path.parent.name == family]
    for name in one_of_every_kind(names, load_config):
        print(name)  # the last one is the one that failed
        check_step(load_config(name), shrink, dataset)


def test_box_head_starts_as_mmdets_except_for_the_prior_of_sigmoids(cfg, shrink, box_heads):
    if 'fc_cls' not in cfg.model.get('trainable', CLASSIFIER_PARTS):
        return  # the classifier is that of stage 1
    if 'roi_head' not in cfg.model:
        return  # mmdet's own initialisation
    for head in box_heads(shrink(cfg.model)):
        head.in_channels = head.fc_out_channels = 8
        heads = []
        for config in (head, {**head, 'init_cfg': None}):
            torch.manual_seed(0)
            heads.append(MODELS.build(config))
            torch.manual_seed(0)
            heads[-1].init_weights()
        ours, mmdets = heads
        if isinstance(ours.loss_cls, AdaptiveClassSuppressionLoss):
            return  # the classifier is that of stage 1
        if not isinstance(getattr(ours.loss_cls, 'loss', ours.loss_cls), SOFTMAX_LOSSES):
            # The logit of the probability 0.001; of a Gumbel score a rounded one.
            is_gumbel = isinstance(ours.loss_cls, GumbelCELoss)
            torch.nn.init.constant_(mmdets.fc_cls.bias, -2 if is_gumbel else -math.log(999))
        theirs = mmdets.state_dict()
        for key, value in ours.state_dict().items():
            torch.testing.assert_close(value, theirs[key], equal_nan=True)
