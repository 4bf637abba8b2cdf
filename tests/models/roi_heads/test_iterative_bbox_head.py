import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import PairwiseBalancedSoftmaxLoss
from bacl.models.roi_heads import IterativeBBoxHead, LongTailRoIHead
from mmdet.registry import MODELS
from torch import nn
from torch.nn import functional as F

C = 3
official_numbers = pytest.mark.golden('pcb_iterative*.npz')


def build(num_classes=C, in_channels=2, bins=2, **kwargs):
    return IterativeBBoxHead(**{
        'num_classes': num_classes, 'in_channels': in_channels, 'fc_out_channels': 8,
        'num_hidden': 5, 'roi_feat_size': bins, 'loss_cls': dict(type='SoftmaxCELoss'),
        'loss_bbox': dict(type='L1Loss'), **kwargs})


def batch(head, labels=(0, 1, C, 2, C)):
    labels = torch.tensor(labels, dtype=torch.long)
    num = len(labels)
    feats = torch.randn(num, head.in_channels, *head.roi_feat_size)
    targets = (torch.zeros(num, 5), labels, torch.ones(num), torch.randn(num, 4),
               torch.ones(num, 4))
    return feats, targets


class OfficialLoss(PairwiseBalancedSoftmaxLoss):
    """The soft part is the mean over all samples, and the state that of all."""

    def forward(self, cls_score, labels, weight, avg_factor, reduction_override=None):
        total = super().forward(cls_score, labels, reduction_override='none')
        hard = F.cross_entropy(cls_score, labels, reduction='none')
        hard = torch.where(labels < self.num_classes, (1 - self.share) * hard, hard)
        return (hard * weight).sum() / avg_factor + (total - hard).mean()


class ExactL1Loss(nn.Module):
    """L1 without the epsilon that mmdet 3 adds to the divisor."""

    def forward(self, pred, target, weight, avg_factor, reduction_override=None):
        return ((pred - target).abs() * weight).sum() / avg_factor


def official_head(golden):
    num_hidden, num_classes = len(golden['channel_fc1_bias']), int(golden['num_classes'])
    head = build(
        num_classes, golden['feats'].size(2), golden['feats'].size(3), num_hidden=num_hidden,
        fc_out_channels=len(golden['fc1_bias']), norm_logits=bool(golden['layer_norm']),
        iteration_weights=golden['iter_loss_weight'].tolist()).double()
    head.loss_cls = OfficialLoss(num_classes, float(golden['alpha']),
                                 int(golden['start_epoch']) - 1, 1 - float(golden['momentum']))
    head.loss_bbox = ExactL1Loss()
    layers = dict(fc1=head.shared_fcs[0], fc2=head.shared_fcs[1], fc_cls=head.fc_cls,
                  fc_reg=head.fc_reg, channel_fc1=head.channel[-3], channel_fc2=head.channel[-1],
                  spatial_fc1=head.spatial[0], spatial_fc2=head.spatial[2])
    if golden['layer_norm']:
        layers['channel_ln'] = head.channel[0]
    for name, layer in layers.items():
        layer.weight.data.copy_(golden[f'{name}_weight'])
        layer.bias.data.copy_(golden[f'{name}_bias'])
    return head, layers


@official_numbers
def test_equals_official_outputs_losses_gradients_and_matrix(golden):
    head, layers = official_head(golden)
    assert head.num_iterations == golden['n_iter'] == golden['reg_iter'] + 1
    for step, labels in enumerate(golden['labels']):
        head.loss_cls.start_epoch(int(golden['epoch'][step]) - 1)
        feats = golden['feats'][step].clone().requires_grad_()
        logits, deltas = head(feats)
        all_logits = torch.stack([*head._logits, logits])
        losses = head.loss(logits, deltas, torch.zeros(len(labels), 5), labels,
                           golden['label_weights'][step], golden['bbox_targets'][step],
                           golden['bbox_weights'][step])
        head.zero_grad()
        (losses['loss_cls'] + losses['loss_bbox']).backward()
        gradients = [(getattr(layers[name.rpartition('_')[0]], name.rpartition('_')[2]).grad,
                      golden[f'grad_{name}'][step])
                     for name in ('channel_fc1_weight', 'channel_fc2_bias', 'spatial_fc1_weight',
                                  'spatial_fc2_bias', 'fc_cls_weight', 'fc_reg_weight')]
        for ours, theirs in (
                (all_logits, golden['z'][step]), (deltas, golden['r'][step, -1]),
                (losses['loss_cls'], golden['loss_cls'][step]),
                (losses['loss_bbox'], golden['loss_bbox'][step]),
                (head.loss_cls.confusion.matrix, golden['confusion_after'][step]),
                (feats.grad, golden['grad_feats'][step]), *gradients):
            torch.testing.assert_close(ours.detach(), theirs, rtol=1e-9, atol=1e-13)


@official_numbers
def test_equals_official_features_of_the_next_iterations(golden):
    head, _ = official_head(golden)
    for step, feats in enumerate(golden['feats']):
        for t in range(head.num_iterations):
            feats = head.modulate(feats, golden['z'][step, t], golden['r'][step, t])
            torch.testing.assert_close(feats.detach(), golden['feats_next'][step, t], rtol=1e-9,
                                       atol=1e-13)


@pytest.mark.parametrize('kwargs', [
    {}, dict(reg_class_agnostic=True), dict(loss_cls=dict(type='CrossEntropyLoss')),
    dict(cls_predictor_cfg=dict(type='NormedLinear'), loss_cls=dict(type='SigmoidBCELoss'))],
    ids=str)
@pytest.mark.parametrize('norm_logits', [False, True])
def test_without_modulation_all_iterations_are_mmdets_head(kwargs, norm_logits):
    head = build(iteration_weights=(0.25, 0.75), norm_logits=norm_logits, **kwargs)
    host = MODELS.build({
        'type': 'Shared2FCBBoxHead', 'num_classes': C, 'in_channels': 2, 'fc_out_channels': 8,
        'roi_feat_size': 2, 'loss_cls': dict(type='SoftmaxCELoss'),
        'loss_bbox': dict(type='L1Loss'), **kwargs})
    host.load_state_dict({k: v for k, v in head.state_dict().items()
                          if k.split('.')[0] not in ('channel', 'spatial')})
    for layer in (head.channel[-1], head.spatial[-1]):
        nn.init.zeros_(layer.weight)
        nn.init.constant_(layer.bias, float(layer is head.spatial[-1]))
    feats, targets = batch(head)
    outputs, expected = head(feats), host(feats)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(head.loss(*outputs, *targets), host.loss(*expected, *targets))


def test_losses_of_several_parts_are_summed_over_the_iterations():
    head = build(loss_cls=dict(type='SeesawLoss', num_classes=C), iteration_weights=(2, 0.5))
    feats, targets = batch(head)
    outputs = head(feats)
    first = head._logits[0]
    losses = head.loss(*outputs, *targets)
    # Counts of both iterations are equal, so their ratios are those of one.
    loss = MODELS.build(dict(type='SeesawLoss', num_classes=C))
    each = [loss(logits, *targets[1:3], avg_factor=5.0) for logits in (first, outputs[0])]
    for name in ('loss_cls_objectness', 'loss_cls_classes'):
        torch.testing.assert_close(losses[name], 2 * each[0][name] + 0.5 * each[1][name])
    assert {'loss_bbox', 'acc_objectness', 'acc_classes'} <= set(losses)


def test_the_loss_is_told_the_iteration_and_the_share_of_soft_targets_rises():
    head = build(loss_cls=dict(type='PairwiseBalancedSoftmaxLoss', soft_share=0.4, soft_start=0))
    shares = []
    head.loss_cls.register_forward_pre_hook(lambda loss, args: shares.append(loss.share))
    feats, targets = batch(head)
    head.loss(*head(feats), *targets)
    assert shares == [0, 0.2, 0.4]


@pytest.mark.parametrize('labels', [(C, C), ()])
def test_batches_without_foreground_or_rois_have_gradients(labels):
    head = build(loss_cls=dict(type='PairwiseBalancedSoftmaxLoss', soft_start=0))
    feats, targets = batch(head, labels)
    losses = head.loss(*head(feats.requires_grad_()), *targets)
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert feats.grad.isfinite().all()
    assert head.fc_reg.weight.grad.isfinite().all()


def test_predicts_the_last_iteration_and_keeps_nothing():
    head = build().eval()
    feats, _ = batch(head)
    with torch.no_grad():
        logits, deltas = head(feats)
        for _ in range(head.num_iterations - 1):
            feats = head.modulate(feats, *super(IterativeBBoxHead, head).forward(feats))
        expected = super(IterativeBBoxHead, head).forward(feats)
    torch.testing.assert_close((logits, deltas), expected)
    assert not head._logits


def test_losses_in_evaluation_are_those_of_the_last_iteration():
    head = build(iteration_weights=(0.25, 0.75)).eval()
    feats, targets = batch(head)
    outputs = head(feats)
    losses = head.loss(*outputs, *targets)
    expected = super(IterativeBBoxHead, head).loss(*outputs, *targets)
    torch.testing.assert_close(losses['loss_cls'], 0.75 * expected['loss_cls'])
    torch.testing.assert_close(losses['loss_bbox'], expected['loss_bbox'])


def test_an_error_in_a_loss_keeps_nothing():
    head = build()
    feats, targets = batch(head)
    with pytest.raises(TypeError):
        head.loss(*head(feats))
    assert not head._logits


@pytest.mark.parametrize('weights', [(1.0,), (0.5, -0.5)])
def test_weights_that_make_no_iterations_are_refused(weights):
    with pytest.raises(ValueError, match='iteration_weights='):
        build(iteration_weights=weights)


def test_parts_that_are_to_see_the_rois_once_are_refused():
    with pytest.raises(TypeError, match='MeanClassificationScore'):
        build(loss_cls=dict(type='FCBL', indicator=dict(type='MeanClassificationScore')))
    with pytest.raises(TypeError, match='runs its classifier once.*IterativeBBoxHead'):
        LongTailRoIHead(
            augmenter=dict(type='FeatureHallucinator'),
            bbox_head=dict(type='IterativeBBoxHead', num_classes=C, in_channels=2,
                           roi_feat_size=2, loss_cls=dict(type='FCBL')),
            bbox_roi_extractor=dict(
                type='SingleRoIExtractor', out_channels=2, featmap_strides=[4],
                roi_layer=dict(type='RoIAlign', output_size=2, sampling_ratio=1)))
