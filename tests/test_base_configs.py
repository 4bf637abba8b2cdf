"""Base configs of Cascade R-CNN, Mask R-CNN and Swin, and of the data and schedules they need."""
from pathlib import Path

import bacl  # noqa: F401
import pytest
import torch
from mmdet.registry import DATASETS, MODELS
from mmdet.structures.mask import BitmapMasks
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.hub import get_config

BASE = Path(__file__).parents[1] / 'configs' / '_base_'
NUM_CLASSES = 20
METHODS = ('', '_bacl-stage1', '_bacl-stage2')
CASCADE = [f'cascade-rcnn_r50_fpn{method}' for method in METHODS]
MASK = [f'mask-rcnn_r50_fpn{method}' for method in METHODS]
SWIN = [f'faster-rcnn_swin-t_fpn{method}' for method in METHODS[1:]]

# What a config on top writes to set the number of classes, by type of detector.
SOFTMAX_HEAD = 'dict(num_classes=_base_.num_classes)'
SIGMOID_HEAD = f'dict(num_classes=_base_.num_classes, loss_cls={SOFTMAX_HEAD})'
SOFTMAX_CASCADE = '''[dict(head, num_classes=_base_.num_classes)
    for head in _base_.model.roi_head.bbox_head]'''
SIGMOID_CASCADE = '''[dict(head, num_classes=_base_.num_classes,
                           loss_cls=dict(head.loss_cls, num_classes=_base_.num_classes))
    for head in _base_.model.roi_head.bbox_head]'''


def load_model(name: str):
    return Config.fromfile(BASE / 'models' / f'{name}.py').model


def differences(ours, theirs, path=''):
    """Paths of the values in which two nested configs differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        keys = ours.keys() | theirs.keys()
        return {d for key in keys
                for d in differences(ours.get(key), theirs.get(key), f'{path}.{key}'.lstrip('.'))}
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return {d for mine, other in zip(ours, theirs, strict=True)
                for d in differences(mine, other, path)}
    return set() if ours == theirs else {path}


@pytest.fixture
def with_classes(tmp_path):
    """The model that results when a config on top of the base sets the number of classes."""
    def load(name: str):
        is_sigmoid = 'bacl' in name
        if name in CASCADE:
            bbox_head = SIGMOID_CASCADE if is_sigmoid else SOFTMAX_CASCADE
        else:
            bbox_head = SIGMOID_HEAD if is_sigmoid else SOFTMAX_HEAD
        mask_head = f', mask_head={SOFTMAX_HEAD}' if name in MASK else ''
        (tmp_path / 'data.py').write_text(f'num_classes = {NUM_CLASSES}\n')
        (tmp_path / 'top.py').write_text(
            f"_base_ = ['{BASE / 'models' / name}.py', 'data.py']\n"
            f'model = dict(roi_head=dict(bbox_head={bbox_head}{mask_head}))\n')
        return Config.fromfile(tmp_path / 'top.py').model

    return load


def small(model):
    """The same with fewer RoIs and without pretrained weights, which are files."""
    model.backbone.init_cfg = None
    model.train_cfg.rpn_proposal.max_per_img = model.test_cfg.rpn.max_per_img = 20
    model.test_cfg.rcnn.max_per_img = 5
    stages = model.train_cfg.rcnn
    for stage in stages if isinstance(stages, list) else [stages]:
        stage.sampler.num = 16
    return model


# Models.


@pytest.mark.parametrize('name', CASCADE + MASK + SWIN)
def test_model_learns_what_it_should_and_predicts(with_classes, name):
    torch.manual_seed(0)
    cfg = small(with_classes(name))
    model = MODELS.build(cfg)
    model.init_weights()
    model.train()
    batch = demo_mm_inputs(2, [(3, 64, 96), (3, 96, 64)], num_items=[3, 1],
                           num_classes=NUM_CLASSES, with_mask=True)

    loss, _ = model.parse_losses(model(**model.data_preprocessor(batch, True), mode='loss'))
    loss.backward()
    assert torch.isfinite(loss)
    learning = {key for key, value in model.named_parameters() if value.grad is not None}
    assert learning == {key for key, value in model.named_parameters() if value.requires_grad}
    box_heads = [f'bbox_head.{stage}' for stage in range(3)] if name in CASCADE else ['bbox_head']
    if name.endswith('classifier'):
        classifier = {f'roi_head.{head}.{fc}.{kind}' for head in box_heads
                      for fc in ('fc_cls', 'fc_reg') for kind in ('weight', 'bias')}
        others = {key for key in learning
                  if key.startswith(('rpn_head.', 'roi_head.mask_head.'))}
        assert classifier | others == learning
        assert any('rpn_head' in key for key in others)
        assert any('mask_head' in key for key in others) == (name in MASK)
    else:
        assert all(f'roi_head.{head}.shared_fcs.0.weight' in learning for head in box_heads)
        assert any(key.startswith('backbone') for key in learning)

    model.eval()
    with torch.no_grad():
        results = model(**model.data_preprocessor(batch, False), mode='predict')
    for result in results:
        instances = result.pred_instances
        assert len(instances) and (instances.labels < NUM_CLASSES).all()
        assert torch.isfinite(instances.bboxes).all() and torch.isfinite(instances.scores).all()
        if name in MASK:
            assert instances.masks.shape == (len(instances), *result.ori_shape)


@pytest.mark.parametrize('name', CASCADE)
def test_every_stage_of_the_cascade_gets_the_classes(with_classes, name):
    heads = with_classes(name).roi_head.bbox_head
    assert [head.num_classes for head in heads] == [NUM_CLASSES] * 3
    if 'bacl' in name:
        assert [head.loss_cls.num_classes for head in heads] == [NUM_CLASSES] * 3
    assert not differences(load_model(name).roi_head.bbox_head, heads) - {
        'num_classes', 'loss_cls.num_classes'}


def test_cascade_is_mmdets_but_for_lvis():
    theirs = get_config('mmdet::cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py').model
    assert differences(load_model('cascade-rcnn_r50_fpn'), theirs) == {
        'roi_head.bbox_head.num_classes', 'train_cfg.rpn_proposal.max_per_img',
        'test_cfg.rcnn.score_thr', 'test_cfg.rcnn.max_per_img'}


def test_mask_rcnn_is_mmdets_but_for_lvis_and_the_predictor():
    theirs = get_config('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py').model
    assert differences(load_model('mask-rcnn_r50_fpn'), theirs) == {
        'roi_head.bbox_head.num_classes', 'roi_head.mask_head.num_classes',
        'roi_head.mask_head.predictor_cfg', 'test_cfg.rcnn.score_thr',
        'test_cfg.rcnn.max_per_img'}


def test_swin_is_mmdets_but_for_defaults_written_out_there():
    theirs = get_config('mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py').model
    ours = load_model('faster-rcnn_swin-t_fpn_bacl-stage1')
    assert differences(ours.backbone, theirs.backbone) == {
        'drop_rate', 'attn_drop_rate', 'with_cp'}
    assert ours.neck == theirs.neck


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('detector, differing', [
    ('cascade-rcnn_r50_fpn', {'num_stages', 'stage_loss_weights', 'bbox_head', 'type'}),
    ('mask-rcnn_r50_fpn', {'mask_roi_extractor', 'mask_head'})])
def test_method_is_the_one_of_faster_rcnn(detector, differing, method):
    ours, faster = load_model(detector + method), load_model(f'faster-rcnn_r50_fpn{method}')
    assert differences(ours.roi_head, faster.roi_head) == differing
    heads, theirs = ours.roi_head.bbox_head, faster.roi_head.bbox_head
    for head in heads if isinstance(heads, list) else [heads]:
        assert differences(head, theirs) <= {
            'bbox_coder.target_stds', 'reg_class_agnostic', 'loss_bbox.type', 'loss_bbox.beta'}
    assert ours.train_cfg.rpn_proposal == faster.train_cfg.rpn_proposal


def test_mask_logits_are_twenty_times_a_cosine(with_classes):
    head = MODELS.build(with_classes('mask-rcnn_r50_fpn').roi_head.mask_head)
    head.init_weights()
    predictor = head.conv_logits
    assert predictor.out_channels == NUM_CLASSES
    pixels = 3 * predictor.weight.data[:, :, 0, 0]  # one for each class, in its direction
    logits = predictor(pixels[:, :, None, None])[:, :, 0, 0].detach()
    torch.testing.assert_close(logits.diagonal(), torch.full((NUM_CLASSES,), 20.0))
    assert (logits <= 20 + 1e-4).all()


def test_features_of_a_frozen_swin_are_those_of_the_test():
    name = 'faster-rcnn_swin-t_fpn_bacl-stage2'
    model = MODELS.build({**load_model(name), 'roi_head': None}).train()
    image = torch.randn(1, 3, 64, 64)
    training = model.extract_feat(image)
    for first, second in zip(training, model.eval().extract_feat(image), strict=True):
        assert torch.equal(first, second) and not first.requires_grad


# Datasets and schedules.


@pytest.mark.parametrize('name', ['lvis_v1_instance', 'lvis_v1_instance_copy-paste'])
def test_instance_data_has_masks_and_is_otherwise_the_data_for_boxes(name, make_lvis):
    cfg = Config.fromfile(BASE / 'datasets' / f'{name}.py')
    boxes = Config.fromfile(BASE / 'datasets' / f"{name.replace('_instance', '')}.py")
    assert differences(cfg.to_dict(), boxes.to_dict()) - {
        'train_pipeline.with_mask', 'train_dataloader.dataset.pipeline.with_mask'} == {
            'val_evaluator.metric', 'test_evaluator.metric'}
    assert cfg.val_evaluator.metric == cfg.test_evaluator.metric == ['bbox', 'segm']

    dataset = cfg.train_dataloader.dataset
    dataset.get('dataset', dataset).data_root = str(make_lvis('v1'))
    gt = DATASETS.build(dataset)[0]['data_samples'].gt_instances
    assert isinstance(gt.masks, BitmapMasks) and len(gt.masks) == len(gt.bboxes) > 0
    assert all(mask.any() for mask in gt.masks.masks)


def test_adamw_schedule_is_mmdets_for_swin():
    ours = Config.fromfile(BASE / 'schedules' / 'schedule_1x_adamw.py')
    theirs = get_config('mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py')
    for key in ('optim_wrapper', 'param_scheduler', 'auto_scale_lr'):
        assert not differences(ours[key], theirs[key]), key
    assert ours.train_cfg.max_epochs == theirs.train_cfg.max_epochs
