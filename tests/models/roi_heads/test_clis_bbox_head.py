import bacl  # noqa: F401
import pytest
import torch
import torch.nn.functional as F
from bacl.models.losses.head_contract import predicts_by_softmax
from bacl.models.roi_heads.score_nms import activate, activation_kind
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from torch import nn

C, N = 3, 10
FEATS = dict(in_channels=4, fc_out_channels=6, roi_feat_size=3, num_classes=C)


def build(loss='SigmoidBCELoss', **kwargs):
    torch.manual_seed(0)
    head = MODELS.build(dict(type='CLISBBoxHead', reg_class_agnostic=True,
                             loss_cls=dict(type=loss), **FEATS, **kwargs))
    head.init_weights()
    for parameter in head.parameters():  # no two predictions alike
        nn.init.normal_(parameter, std=0.3)
    return head


def forward(head, seed=0):
    torch.manual_seed(seed)
    return head(torch.randn(N, 4, 3, 3))


def losses_of(head):
    labels = torch.arange(N) % (C + 1)
    logits, deltas = forward(head)
    return logits, head.loss(logits, deltas, torch.zeros(N, 5), labels, torch.ones(N),
                             torch.ones(N, 4), torch.ones(N, 4))


def reached(head, loss):
    head.zero_grad()
    loss.backward(retain_graph=True)
    return {name.split('.')[0] for name, parameter in head.named_parameters()
            if parameter.grad is not None and parameter.grad.any()}


def test_each_loss_reaches_the_stack_of_its_task():
    head = build()
    _, losses = losses_of(head)
    assert reached(head, losses['loss_cls']) == {'cls_fcs', 'fc_cls'}
    assert reached(head, losses['loss_bbox']) == {'reg_fcs', 'fc_reg'}
    assert reached(head, losses['loss_objectness']) == {'reg_fcs', 'fc_obj'}


@pytest.mark.parametrize('loss', [
    'SigmoidBCELoss', 'ObjectnessBCELoss', 'SoftmaxCELoss', 'CrossEntropyLoss'])
def test_a_score_is_the_product_of_both(loss):
    head = build(loss, objectness_weight=2.0)
    logits, losses = losses_of(head)
    classes = logits[:, :-1]
    scores = head.loss_cls.get_activation(classes) if head.custom_cls_channels else \
        classes.softmax(1)
    is_object = logits[:, -1:].sigmoid()
    got = activate(head, logits)
    torch.testing.assert_close(got[:, :C], scores[:, :C] * is_object)
    assert got.shape == (N, C + 1) and 0 <= got.min() and got.max() <= 1
    if loss in ('SoftmaxCELoss', 'CrossEntropyLoss'):  # still a distribution
        torch.testing.assert_close(got.sum(1), torch.ones(N))
    target = torch.tensor([1., 1, 1, 0] * 3)[:N]
    torch.testing.assert_close(losses['loss_objectness'], 2 * F.binary_cross_entropy_with_logits(
        logits[:, -1], target))


def test_it_predicts_with_these_scores():
    head = build()
    logits, deltas = forward(head)
    rois = torch.tensor([[0., 0, 0, 20, 20]]).repeat(N, 1)
    meta = dict(img_shape=(32, 32), scale_factor=(1., 1.))
    got, = head.predict_by_feat((rois,), (logits,), (deltas,), [meta])
    torch.testing.assert_close(got.scores, activate(head, logits))
    test_cfg = ConfigDict(score_thr=0.0, nms=dict(type='nms', iou_threshold=1.0), max_per_img=100)
    detections, = head.predict_by_feat((rois,), (logits,), (deltas,), [meta], test_cfg)
    best = activate(head, logits)[:, :C].flatten().sort(descending=True).values
    torch.testing.assert_close(detections.scores, best)
    empty, = head.predict_by_feat((rois[:0],), (logits[:0],), (deltas[:0],), [meta], test_cfg)
    assert len(empty) == 0


def test_from_a_detector_with_shared_layers_it_starts_with_its_predictions():
    torch.manual_seed(3)
    shared = MODELS.build(dict(type='Shared2FCBBoxHead', reg_class_agnostic=True,
                               loss_cls=dict(type='ObjectnessBCELoss'), **FEATS))
    logits, deltas = forward(shared)
    for kwargs in ({}, dict(num_shared_fcs=2, num_cls_fcs=0, num_reg_fcs=0)):
        head = build(**kwargs)
        missing, _ = head.load_state_dict(shared.state_dict(), strict=False)
        assert not missing
        got, got_deltas = forward(head)
        torch.testing.assert_close(activate(head, got)[:, :C], activate(shared, logits)[:, :C])
        torch.testing.assert_close(got_deltas, deltas)


def test_a_checkpoint_of_its_own_stays_as_it_is():
    head, state = build(), build().state_dict()
    state = {name: value + 1 for name, value in state.items()}
    head.load_state_dict(state)
    assert all(torch.equal(value, state[name]) for name, value in head.state_dict().items())
    # A classifier with a channel for the background keeps it.
    head = build('ObjectnessBCELoss')
    shared = {'fc_cls.weight': torch.ones(C + 1, 6), 'fc_cls.bias': torch.ones(C + 1)}
    missing, _ = head.load_state_dict(shared, strict=False)
    assert {'fc_obj.weight', 'fc_obj.bias'} <= set(missing)
    assert torch.equal(head.fc_cls.weight, shared['fc_cls.weight'])
    # Seesaw's last channel is an object's, not background.
    head, seesaw = build('SoftmaxCELoss'), {'fc_cls.weight': torch.ones(C + 2, 6)}
    head.adapt_weights(seesaw, '')
    assert seesaw.keys() == {'fc_cls.weight'} and len(seesaw['fc_cls.weight']) == C + 2


def test_its_scores_are_no_softmax_of_its_logits():
    for loss, kind in (('SoftmaxCELoss', 'softmax'), ('SigmoidBCELoss', 'sigmoid')):
        head = build(loss)
        assert activation_kind(head) == kind and not predicts_by_softmax(head)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match='objectness_weight='):
        build(objectness_weight=-1)
    with pytest.raises(TypeError, match='with_cls=, with_reg='):
        build(with_reg=False, num_reg_fcs=0)
