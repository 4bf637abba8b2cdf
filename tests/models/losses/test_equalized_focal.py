import math

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import (
    EqualizedFocalLoss,
    EqualizedQualityFocalLoss,
    equalized_focal,
    quality_focal_gradient,
    quality_focal_loss,
)
from hypothesis import given
from hypothesis import strategies as st
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import ConfigDict

C = 3


def official(golden, split):
    """The calls of an official run: levels of the pyramid one by one if ``split``."""
    sizes = golden['level_sizes'].prod(1).tolist() if split else [golden['labels'].size(2)]
    for call, labels in enumerate(golden['labels']):
        is_used = labels >= 0
        parts = [golden['logits'][call], labels.where(is_used, golden['num_classes']),
                 is_used.double()]
        if 'quality' in golden:
            parts.append(golden['quality'][call])
        levels = [[x.flatten(0, 1) for x in level]
                  for level in zip(*(part.split(sizes, dim=1) for part in parts), strict=True)]
        yield call, levels, float(golden['normalizer'][call])


def official_loss(golden):
    kwargs = dict(num_classes=int(golden['num_classes']), gamma=float(golden['focal_gamma']),
                  scale_factor=float(golden['scale_factor']))
    if 'quality' in golden:
        return EqualizedQualityFocalLoss(**kwargs)
    return EqualizedFocalLoss(alpha=float(golden['focal_alpha']), **kwargs)


@pytest.mark.golden('e*fl.npz')
@pytest.mark.parametrize('split', [False, True], ids=['one call', 'a call for each level'])
@pytest.mark.parametrize('dtype, rtol', [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_equals_official_losses_gradients_state_and_scores(golden, split, dtype, rtol):
    loss = official_loss(golden)

    def equal(ours, theirs):
        torch.testing.assert_close(ours.double(), theirs, rtol=rtol, atol=rtol * 1e-3)

    for call, levels, normalizer in official(golden, split):
        logits = [level[0].to(dtype).requires_grad_() for level in levels]
        values = []
        for level_logits, (_, labels, weight, *quality) in zip(logits, levels, strict=True):
            target = (labels, *quality) if quality else labels
            values.append(loss(level_logits, target, weight, avg_factor=normalizer))
            equal(loss.focusing(), golden['focusing_factor'][call])
        sum(values).backward()
        equal(sum(values).detach(), golden['loss'][call])
        shape = len(golden['labels'][call]), -1, int(golden['num_classes'])
        equal(torch.cat([x.grad.view(shape) for x in logits], 1), golden['grad'][call])
        equal(loss.pos_grad, golden['pos_grad_after'][call])
        equal(loss.neg_grad, golden['neg_grad_after'][call])
        equal(loss.gradient_ratio(), golden['ratio_after'][call])
    scores = loss.get_activation(golden['logits'][-1].flatten(0, 1))[:, :-1]
    torch.testing.assert_close(scores, golden['scores'].flatten(0, 1))


def test_two_steps_by_hand():
    # Logits 0, gamma 2: (1/2)^2 ln 2 for each channel times alpha_t; the gradient is
    # (1/2)^2 (2 * 1/2 ln 2 + 1/2) times alpha_t.
    loss = EqualizedFocalLoss(2)
    logits = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    value = loss(logits, torch.tensor([0]))
    value.backward()
    assert value.item() == pytest.approx(0.25 * math.log(2))
    gradient = 0.25 * (math.log(2) + 0.5)
    assert loss.pos_grad.tolist() == pytest.approx([0.25 * gradient, 0])
    assert loss.neg_grad.tolist() == pytest.approx([0, 0.75 * gradient])
    # Now class 0 has no negative gradient, so that its ratio is 1; that of class 1 is 0.
    value = loss(logits, torch.tensor([1])).item()
    assert value == pytest.approx((0.75 / 4 + 5 * 0.25 / 2 ** 10) * math.log(2))


def test_the_first_step_is_the_focal_loss_of_mmdet():
    logits, labels = torch.randn(6, C), torch.tensor([0, 1, 2, C, C, 0])
    weight = torch.tensor([1.0, 0.5, 0.0, 1.0, 2.0, 1.0])
    theirs = MODELS.build(dict(type='FocalLoss'))
    args = (logits, labels, weight, 5.0)
    torch.testing.assert_close(EqualizedFocalLoss(C)(*args), theirs(*args))


def test_of_quality_the_first_step_is_the_quality_focal_loss_of_mmdet():
    logits, labels = torch.randn(6, C), torch.tensor([0, 1, 2, C, C, 0])
    target, weight = (labels, torch.rand(6) * (labels < C)), torch.ones(6)
    theirs = MODELS.build(dict(type='QualityFocalLoss'))
    args = (logits, target, weight, 5.0)
    torch.testing.assert_close(EqualizedQualityFocalLoss(C)(*args), theirs(*args))


@given(z=st.floats(-8, 8), target=st.floats(0, 1), focusing=st.floats(1, 10))
def test_the_gradient_in_closed_form_is_that_of_the_loss(z, target, focusing):
    logits = torch.tensor([[z]], dtype=torch.float64, requires_grad=True)
    args = torch.tensor([[target]], dtype=torch.float64), torch.tensor([focusing]).double()
    quality_focal_loss(logits, *args).sum().backward()
    torch.testing.assert_close(quality_focal_gradient(logits.detach(), *args), logits.grad.abs(),
                               rtol=1e-9, atol=1e-12)


def test_weights_and_divisor_are_in_the_collected_gradients():
    logits, labels = torch.randn(4, C), torch.tensor([0, 1, C, 2])
    with_sample, without = EqualizedFocalLoss(C), EqualizedFocalLoss(C)
    weight = torch.tensor([1.0, 1.0, 1.0, 0.0])
    value = with_sample(logits, labels, weight, avg_factor=2.0)
    torch.testing.assert_close(value, without(logits[:3], labels[:3], reduction_override='sum') / 2)
    torch.testing.assert_close(2 * with_sample.pos_grad, without.pos_grad)
    torch.testing.assert_close(2 * with_sample.neg_grad, without.neg_grad)


def test_evaluation_changes_no_state():
    loss = EqualizedFocalLoss(C)
    loss(torch.randn(4, C), torch.tensor([0, 1, 2, 3]))
    before = {key: value.clone() for key, value in loss.state_dict().items()}
    loss.eval()(torch.randn(4, C), torch.tensor([0, 1, 2, 3]))
    assert set(before) == {'pos_grad', 'neg_grad'}
    for key, value in loss.state_dict().items():
        assert torch.equal(value, before[key])


def test_a_restored_loss_goes_on_as_the_saved_one():
    batches = [(torch.randn(8, C, requires_grad=True), torch.randint(C + 1, (8,)))
               for _ in range(3)]
    saved, restored = EqualizedFocalLoss(C), EqualizedFocalLoss(C)
    for batch in batches[:2]:
        saved(*batch).backward()
    restored.load_state_dict(saved.state_dict())
    assert restored(*batches[2]) == saved(*batches[2])


@pytest.mark.parametrize('labels', [[0, 1, C], [C, C, C], []])
def test_every_batch_takes_part_in_the_sum_over_ranks(monkeypatch, labels):
    """Two ranks with the same batch: sums double, also those without samples."""
    calls = []

    def all_reduce(sums):
        calls.append(sums)
        sums.mul_(2)

    logits, labels = torch.randn(len(labels), C), torch.tensor(labels, dtype=torch.long)
    alone, loss = EqualizedFocalLoss(C), EqualizedFocalLoss(C)
    alone(logits, labels)
    monkeypatch.setattr(equalized_focal, 'all_reduce', all_reduce)
    loss(logits, labels)
    assert len(calls) == 1
    assert torch.equal(loss.pos_grad, 2 * alone.pos_grad)
    assert torch.equal(loss.neg_grad, 2 * alone.neg_grad)


@pytest.mark.parametrize('kwargs, name', [
    (dict(gamma=0.5), 'gamma='), (dict(alpha=-1), 'alpha='), (dict(scale_factor=-1), 'scale_f'),
    (dict(num_classes=None, use_sigmoid=True), 'num_classes=')])
def test_arguments_out_of_range_are_named(kwargs, name):
    with pytest.raises(ValueError, match=name):
        EqualizedFocalLoss(**{'num_classes': C, **kwargs})


def dense_head(head_type, loss_type='EqualizedFocalLoss', **kwargs):
    """A small head of mmdet on three levels."""
    generator = dict(type='AnchorGenerator', ratios=[1.0], octave_base_scale=8,
                     scales_per_octave=1, strides=[8, 16, 32])
    assigner = dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0) \
        if head_type == 'RetinaHead' else dict(type='ATSSAssigner', topk=9)
    loss_bbox = 'SmoothL1Loss' if head_type == 'RetinaHead' else 'GIoULoss'
    return MODELS.build(ConfigDict(
        type=head_type, num_classes=C, in_channels=8, feat_channels=32, stacked_convs=1,
        anchor_generator=generator, loss_bbox=dict(type=loss_bbox),
        loss_cls=dict(type=loss_type, num_classes=C, use_sigmoid=True) | kwargs,
        train_cfg=dict(assigner=assigner, sampler=dict(type='PseudoSampler'), allowed_border=-1,
                       pos_weight=-1),
        test_cfg=dict(nms_pre=100, min_bbox_size=0, score_thr=0.0, max_per_img=20,
                      nms=dict(type='nms', iou_threshold=0.6))))


@pytest.mark.parametrize('head_type, loss_type', [
    ('ATSSHead', 'EqualizedFocalLoss'), ('RetinaHead', 'EqualizedFocalLoss'),
    ('GFLHead', 'EqualizedQualityFocalLoss')])
def test_dense_heads_of_mmdet_train_and_predict(head_type, loss_type):
    head = dense_head(head_type, loss_type)
    head.init_weights()
    feats = [torch.randn(2, 8, size, size) for size in (16, 8, 4)]
    samples = demo_mm_inputs(2, [(3, 128, 128)] * 2, num_classes=C)['data_samples']
    for sample in samples:
        sample.set_metainfo(dict(pad_shape=(128, 128), batch_input_shape=(128, 128)))
    ratios = []
    for _ in range(2):
        losses = head.loss(feats, samples)
        ratios.append(head.loss_cls.step_ratio.clone())
        sum(sum(value) if isinstance(value, list) else value
            for value in losses.values()).backward()
    assert ratios[0].tolist() == [1] * C  # on all three levels
    assert (ratios[1] < 1).any()
    results = head.eval().predict(feats, samples)
    assert all(((result.labels >= 0) & (result.labels < C)).all() for result in results)
    highest = max(score.sigmoid().max() for score in head(feats)[0])
    assert max(result.scores.max() for result in results) <= highest


@pytest.mark.parametrize('kwargs', [dict(num_classes=C + 1), dict(use_sigmoid=False)])
def test_dense_heads_that_count_other_channels_are_refused(kwargs):
    with pytest.raises(ValueError, match='EqualizedFocalLoss in ATSSHead'):
        dense_head('ATSSHead', **kwargs)


def test_a_box_head_with_a_loss_for_dense_heads_is_refused():
    loss = dict(type='EqualizedFocalLoss', num_classes=C, use_sigmoid=True)
    with pytest.raises(ValueError, match='EqualizedFocalLoss in Shared2FCBBoxHead'):
        MODELS.build(dict(type='Shared2FCBBoxHead', num_classes=C, in_channels=4,
                          fc_out_channels=4, loss_cls=loss))
