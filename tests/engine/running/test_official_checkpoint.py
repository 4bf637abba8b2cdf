from collections import OrderedDict
from pathlib import Path

import bacl  # noqa: F401
import pytest
import torch
import torch.nn.functional as F
from bacl.engine.checking.load_report import compare_weights
from bacl.engine.running.official_checkpoint import (
    TRAINING_STATE,
    convert_official_checkpoint,
    refuse_official_checkpoint,
)
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config

CONFIGS = Path(__file__).parents[3] / 'configs' / 'bacl'
C = 4
CLASSES = ('acorn', 'bun', 'cat', 'dog')
INDICATOR = 'roi_head.bbox_head.loss_cls.indicator'
DISTRIBUTION = 'roi_head.augmenters.0.distribution'
OFFICIAL_NAMES = {
    f'{INDICATOR}.score_sum': 'roi_head.bbox_head.loss_cls.cm_numerator',
    f'{INDICATOR}.num_samples': 'roi_head.bbox_head.loss_cls.num_gt',
    f'{DISTRIBUTION}.mean': 'roi_head.bbox_head.feature_prototype',
    f'{DISTRIBUTION}.var': 'roi_head.bbox_head.feature_variance',
    f'{DISTRIBUTION}.is_known': 'roi_head.bbox_head.feature_used',
}
MASK_BRANCH = dict(
    mask_roi_extractor=dict(
        type='SingleRoIExtractor', out_channels=256, featmap_strides=[4, 8, 16, 32],
        roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0)),
    mask_head=dict(
        type='FCNMaskHead', num_convs=1, in_channels=256, conv_out_channels=8, num_classes=C,
        predictor_cfg=dict(type='NormedConv2d', tempearture=20)))


def build(stage, with_mask=False, depth=18, num_classes=C, **roi_head):
    """A small Faster or Mask R-CNN of stage 1 or 2 with random weights and state."""
    name = {1: 'bacl-stage1', 2: 'bacl-stage2'}[stage]
    cfg = Config.fromfile(CONFIGS / f'faster-rcnn_r50_fpn_{name}_lvis-v0.5.py').model
    cfg.backbone.update(depth=depth, init_cfg=None)
    cfg.neck.in_channels = [64, 128, 256, 512]
    cfg.roi_head.bbox_head.update(num_classes=num_classes, fc_out_channels=16)
    cfg.roi_head.update(roi_head)
    cfg.test_cfg.rpn.max_per_img = 20
    if with_mask:
        cfg.roi_head.update(MASK_BRANCH)
        cfg.test_cfg.rcnn.mask_thr_binary = 0.5
    torch.manual_seed(stage)
    model = MODELS.build(cfg).eval()
    for name, buffer in model.named_buffers():
        if name in OFFICIAL_NAMES:
            buffer.copy_(torch.rand(buffer.shape) > 0.5 if buffer.dtype == torch.bool
                         else torch.rand(buffer.shape))
    return model


def official(model):
    """What the official repository would have saved of the model: its names, types and meta."""
    weights = OrderedDict(
        (OFFICIAL_NAMES.get(name, name), tensor.float() if name in OFFICIAL_NAMES else tensor)
        for name, tensor in model.state_dict().items())
    return dict(meta=dict(mmcv_version='1.2.7', mmdet_version='2.8.0', CLASSES=CLASSES, epoch=12),
                state_dict=weights, optimizer=dict(state={}))


def predict(model):
    image = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    sample = DetDataSample(metainfo=dict(img_shape=(64, 96), ori_shape=(64, 96),
                                         scale_factor=(1.0, 1.0)))
    with torch.no_grad():
        return model.predict(image, [sample])[0].pred_instances


@pytest.mark.parametrize('with_mask', [False, True])
@pytest.mark.parametrize('stage', [1, 2])
def test_converted_weights_are_complete_and_predict_the_same(stage, with_mask):
    model, target = build(stage, with_mask), build(stage, with_mask)
    for parameter in target.parameters():
        parameter.data.zero_()
    conversion = convert_official_checkpoint(official(model), target)
    assert conversion.lacking == [] and conversion.dropped == ['optimizer']
    assert conversion.renamed == ({new: old for old, new in OFFICIAL_NAMES.items()}
                                  if stage == 2 else {})
    assert len(conversion.kept) + len(conversion.renamed) == len(model.state_dict())
    target.load_state_dict(conversion.checkpoint['state_dict'], strict=True)
    expected, found = predict(model), predict(target)
    assert len(expected) > 0
    for field in expected.keys():
        assert torch.equal(expected[field], found[field])


def test_collected_state_arrives_in_our_types():
    model = build(2)
    state = convert_official_checkpoint(official(model), build(2)).checkpoint['state_dict']
    for name, tensor in model.state_dict().items():
        assert state[name].dtype == tensor.dtype
    assert 0 < state[f'{DISTRIBUTION}.is_known'].sum() < C
    assert torch.equal(state[f'{DISTRIBUTION}.is_known'],
                       model.state_dict()[f'{DISTRIBUTION}.is_known'])


def test_the_mask_predictor_is_the_official_one():
    head = build(1, with_mask=True).roi_head.mask_head
    x = torch.randn(2, 8, 5, 5)
    layer = head.conv_logits
    expected = F.conv2d(20 * F.normalize(x), F.normalize(layer.weight), layer.bias)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-4)


def test_classes_are_where_the_test_tool_looks_for_them():
    checkpoint = official(build(1))
    converted = convert_official_checkpoint(checkpoint, build(1)).checkpoint
    assert converted['meta'] == dict(dataset_meta=dict(classes=CLASSES))
    del checkpoint['meta']
    assert convert_official_checkpoint(checkpoint, build(1)).checkpoint['meta'] == {}


def test_stage_one_weights_fit_stage_two_whose_state_is_lacking():
    conversion = convert_official_checkpoint(official(build(1)), build(2))
    assert set(conversion.lacking) == set(OFFICIAL_NAMES)
    report = compare_weights(build(2), conversion.checkpoint['state_dict'])
    assert set(report.new) == set(OFFICIAL_NAMES)
    assert not (report.missing or report.misfit or report.unused)


def test_state_that_the_model_does_not_collect_is_dropped():
    conversion = convert_official_checkpoint(official(build(2)), build(1))
    assert set(conversion.dropped) == {*OFFICIAL_NAMES.values(), 'optimizer'}
    assert conversion.renamed == {}


def test_half_a_state_is_dropped():
    checkpoint = official(build(2))
    del checkpoint['state_dict']['roi_head.bbox_head.loss_cls.cm_numerator']
    conversion = convert_official_checkpoint(checkpoint, build(2))
    assert conversion.lacking == [f'{INDICATOR}.score_sum', f'{INDICATOR}.num_samples']
    assert conversion.dropped == ['roi_head.bbox_head.loss_cls.num_gt', 'optimizer']
    assert conversion.renamed == TRAINING_STATE[1]


def test_averages_and_wrapper_prefixes_disappear():
    checkpoint = official(build(1))
    weights = {f'module.{name}': tensor for name, tensor in checkpoint['state_dict'].items()}
    weights['module.ema_backbone_conv1_weight'] = torch.zeros(1)
    conversion = convert_official_checkpoint(dict(state_dict=weights), build(1))
    assert conversion.dropped == ['ema_backbone_conv1_weight']
    build(1).load_state_dict(conversion.checkpoint['state_dict'], strict=True)


def test_a_missing_tensor_is_refused_and_named():
    checkpoint = official(build(1))
    del checkpoint['state_dict']['rpn_head.rpn_cls.weight']
    with pytest.raises(ValueError, match=r'1 missing: rpn_head\.rpn_cls\.weight\. Choose'):
        convert_official_checkpoint(checkpoint, build(1))


@pytest.mark.parametrize('original, message', [
    (dict(num_classes=C + 1), r'fc_cls\.weight: \(6, 16\) in the checkpoint, \(5, 16\) in the'),
    # ResNet-34 has all that ResNet-18 needs, and 8 more blocks of 12 tensors.
    (dict(depth=34), r'96 unknown to the model: backbone\.layer1\.2\.conv1'),
    (dict(with_mask=True), r'6 unknown to the model: roi_head\.mask_head'),
])
def test_another_architecture_is_refused(original, message):
    with pytest.raises(ValueError, match=message):
        convert_official_checkpoint(official(build(1, **original)), build(1))


@pytest.mark.parametrize('checkpoint, message', [
    (dict(model=dict(weight=torch.zeros(1))), "expects tensors in its 'state_dict', got the keys "
     'model'),
    (dict(state_dict=dict(weight='text')), "expects tensors in its 'state_dict'"),
    (dict(state_dict={'bbox_head.fc_cls.weight': torch.zeros(5, 16)}),
     r'missing: backbone\.conv1\.weight'),
    (dict(state_dict={}, meta=dict(mmengine_version='0.10.7')),
     r'got one of mmengine 0\.10\.7\. It needs no conversion'),
])
def test_a_checkpoint_of_another_repository_is_refused(checkpoint, message):
    with pytest.raises(ValueError, match=message):
        convert_official_checkpoint(checkpoint, build(1))


@pytest.mark.parametrize('checkpoint', [
    dict(state_dict={}), dict(weight=torch.zeros(1)), dict(meta=None, state_dict={}),
    dict(state_dict={}, meta=dict(mmdet_version='3.3.0')),
    dict(state_dict={}, meta=dict(mmengine_version='0.10.7', mmdet_version='2.8.0'))])
def test_other_checkpoints_are_not_taken_for_official_ones(checkpoint):
    refuse_official_checkpoint(checkpoint, 'x.pth')


@pytest.mark.parametrize('stage', [1, 2])
def test_official_checkpoints_are_pointed_to_the_converter_and_converted_ones_pass(stage):
    checkpoint = official(build(stage))
    with pytest.raises(ValueError, match=r'^x\.pth is a checkpoint of MMDetection 2\.8\.0\. Con'):
        refuse_official_checkpoint(checkpoint, 'x.pth')
    converted = convert_official_checkpoint(checkpoint, build(stage)).checkpoint
    refuse_official_checkpoint(converted, 'x.pth')


def test_the_report_names_every_tensor_and_what_became_of_it():
    conversion = convert_official_checkpoint(official(build(2)), build(2))
    lines = str(conversion).splitlines()
    assert f'{len(conversion.kept)} kept' in lines and '5 renamed' in lines
    assert '  backbone.conv1.weight' in lines and '  optimizer' in lines
    assert f'  roi_head.bbox_head.feature_used -> {DISTRIBUTION}.is_known' in lines
    assert '0 lacking (collected by training, not needed for inference)' in lines
