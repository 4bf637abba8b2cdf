import copy

import bacl  # noqa: F401
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.hub import get_config
from torch.nn.modules.batchnorm import _BatchNorm

CONFIG = 'configs/bacl/faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bacl.py'


def detector_cfg(**kwargs):
    cfg = Config.fromfile(CONFIG).model
    cfg.update(kwargs)
    return copy.deepcopy(cfg)


@pytest.fixture
def detector():
    return MODELS.build(detector_cfg()).train()


def losses_of(detector):
    torch.manual_seed(0)
    data = demo_mm_inputs(2, [[3, 64, 64], [3, 64, 64]], num_classes=120)
    data = detector.data_preprocessor(data, True)
    return detector.forward(**data, mode='loss')


def test_frozen_weights_that_a_hook_exchanges_count_from_the_next_mode_on(detector):
    # As an EMAHook does around a validation: through `.data`, which autograd does not count.
    images = torch.rand(1, 3, 64, 64)
    before = detector.eval().extract_feat(images)[0]
    detector.train()
    for tensor in detector.backbone.buffers():
        if tensor.is_floating_point():
            tensor.data.mul_(1.5)
    after = detector.eval().extract_feat(images)[0]
    assert not torch.allclose(after, before)
    expected = detector.neck(detector.backbone(images))[0]
    torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


def test_exactly_the_recipes_parts_learn(detector):
    trained = {name for name, p in detector.named_parameters() if p.requires_grad}
    expected = {f'{part}.{kind}' for kind in ('weight', 'bias') for part in (
        'roi_head.bbox_head.fc_cls', 'roi_head.bbox_head.fc_reg', 'rpn_head.rpn_conv',
        'rpn_head.rpn_cls', 'rpn_head.rpn_reg')}
    assert trained == expected


def test_a_step_gives_gradient_to_all_that_learns_and_to_nothing_else(detector):
    losses = losses_of(detector)
    total = sum(sum(v) if isinstance(v, list) else v for k, v in losses.items() if 'loss' in k)
    detector.zero_grad()
    total.backward()
    for name, parameter in detector.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


def test_the_extractor_records_no_graph(detector):
    feats = detector.extract_feat(torch.randn(1, 3, 64, 64))
    assert not any(feat.requires_grad for feat in feats)


def test_batch_norms_of_frozen_layers_stay_in_eval_mode(detector):
    norms = [m for m in detector.train().modules() if isinstance(m, _BatchNorm)]
    assert norms and not any(norm.training for norm in norms)
    assert detector.roi_head.training
    assert not detector.eval().roi_head.training
    detector.train()


def test_resnet_batch_norms_do_not_move_their_statistics():
    cfg = detector_cfg()
    cfg.backbone = dict(type='ResNet', depth=18, norm_eval=False, frozen_stages=-1)
    cfg.neck.in_channels = [64, 128, 256, 512]
    detector = MODELS.build(cfg).train()
    before = {k: v.clone() for k, v in detector.backbone.state_dict().items()}
    detector.extract_feat(torch.randn(2, 3, 64, 64))
    assert all(torch.equal(v, before[k]) for k, v in detector.backbone.state_dict().items())


def test_a_partly_trained_extractor_keeps_its_graph():
    detector = MODELS.build(detector_cfg(trainable=['fc_cls', 'neck']))
    assert detector.extract_feat(torch.randn(1, 3, 64, 64))[0].requires_grad
    assert not detector.backbone.blocks[6].expand.conv.weight.requires_grad


def test_names_that_match_nothing_are_refused():
    with pytest.raises(ValueError, match='trainable='):
        MODELS.build(detector_cfg(trainable=['fc_clss']))


@pytest.mark.parametrize('fresh, fault', [
    (['fc_clss'], "'fc_clss', which no layer is called"),
    (['fc'], "'fc', which no layer is called"),  # the whole name of a layer
    (['shared_fcs'], "'shared_fcs', which does not learn")])
def test_fresh_layers_that_do_not_exist_or_learn_are_refused(fresh, fault):
    with pytest.raises(ValueError, match=fault):
        MODELS.build(detector_cfg(fresh=fresh))
    assert MODELS.build(detector_cfg(fresh=['fc_cls'])).fresh == ('fc_cls',)


def test_other_two_stage_detectors_through_the_same_mechanism():
    """Mask and Cascade R-CNN: shared FCs of all stages are frozen, mask heads learn."""
    cfg = get_config('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py').model
    cfg.type = 'DecoupledTwoStageDetector'
    detector = MODELS.build(cfg)
    trained = {name for name, p in detector.named_parameters() if p.requires_grad}
    assert any('mask_head' in name for name in trained)
    assert not any('shared_fcs' in name or 'backbone' in name or 'neck' in name
                   for name in trained)
    cfg = get_config('mmdet::cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py').model
    cfg.type = 'DecoupledTwoStageDetector'
    detector = MODELS.build(cfg)
    trained = {name for name, p in detector.named_parameters() if p.requires_grad}
    for stage in range(3):
        assert f'roi_head.bbox_head.{stage}.fc_cls.weight' in trained
        assert f'roi_head.bbox_head.{stage}.shared_fcs.0.weight' not in trained


def resnet_cfg(**kwargs):
    cfg = detector_cfg(**kwargs)
    cfg.backbone = dict(type='ResNet', depth=18)
    cfg.neck.update(in_channels=[64, 128, 256, 512], norm_cfg=dict(type='BN'))
    return cfg


def extract(detector):
    return detector.extract_feat(torch.randn(1, 3, 64, 64))


def test_a_frozen_extractor_runs_without_batch_norms_and_computes_the_same(num_norm_calls):
    folded = MODELS.build(resnet_cfg()).train()
    plain = MODELS.build(resnet_cfg(fold_batch_norm=False)).train()
    plain.load_state_dict(folded.state_dict())  # the same keys
    x = torch.randn(2, 3, 64, 64)
    for ours, theirs in zip(folded.extract_feat(x), plain.extract_feat(x), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        for ours, theirs in zip(plain.extract_feat(x), plain.neck(plain.backbone(x)), strict=True):
            assert torch.equal(ours, theirs)  # to the bit
    assert num_norm_calls(lambda: extract(folded)) == 0
    assert num_norm_calls(lambda: extract(folded.eval())) == 0
    assert num_norm_calls(lambda: extract(copy.deepcopy(folded))) == 0
    assert num_norm_calls(lambda: extract(plain)) == 20 + 8


@pytest.mark.parametrize('learning, num_norms', [
    ('neck', 8), ('backbone.layer4', 28), ('backbone.layer2.0.conv1', 28)])
def test_a_part_that_learns_is_not_folded_nor_what_is_behind_it(
        learning, num_norms, num_norm_calls):
    detector = MODELS.build(resnet_cfg(trainable=['fc_cls', learning])).train()
    assert extract(detector)[-1].requires_grad
    assert num_norm_calls(lambda: extract(detector)) == num_norms


@pytest.mark.parametrize('fold_batch_norm', [True, False])
def test_half_precision_of_the_extractor_ends_with_it(fold_batch_norm):
    detector = MODELS.build(detector_cfg(fold_batch_norm=fold_batch_norm)).train()
    half = MODELS.build(detector_cfg(fold_batch_norm=fold_batch_norm,
                                     extractor_dtype='bfloat16')).train()
    half.load_state_dict(detector.state_dict())
    x, dtypes = torch.randn(2, 3, 64, 64), set()
    half.backbone.blocks[3].register_forward_hook(lambda *args: dtypes.add(args[-1].dtype))
    for ours, theirs in zip(half.extract_feat(x), detector.extract_feat(x), strict=True):
        assert ours.dtype == torch.float32 and not torch.equal(ours, theirs)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=float(0.05 * theirs.abs().max()))
    assert dtypes == {torch.bfloat16}
    assert all(p.dtype == torch.float32 for p in half.parameters())
    half.rpn_head.rpn_conv.register_forward_hook(lambda *args: dtypes.add(args[-1].dtype))
    assert all(torch.isfinite(torch.as_tensor(value)).all()
               for values in losses_of(half).values()
               for value in (values if isinstance(values, list) else [values]))
    assert dtypes == {torch.bfloat16, torch.float32}


def test_another_precision_is_refused():
    with pytest.raises(ValueError, match="extractor_dtype.*'int8'"):
        MODELS.build(detector_cfg(extractor_dtype='int8'))
