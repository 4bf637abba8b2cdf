"""Base configs of Cascade R-CNN, Mask R-CNN and Swin, and of the data and schedules they need."""
from pathlib import Path

import bacl  # noqa: F401
import pytest
import torch
from mmdet.registry import DATASETS, MODELS
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.hub import get_config

BASE = Path(__file__).parents[1] / 'configs' / '_base_'
METHODS = ('', '_bacl-stage1', '_bacl-stage2')


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


# Models.


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
