import bacl  # noqa: F401
import pytest
import torch
from bacl.models.augmenters import (
    ClassFeatureDistribution,
    ExtraSamples,
    class_probability,
    sample_classes,
)
from bacl.models.losses import FCBL
from bacl.models.roi_heads.classifier_tap import ClassifierTap
from mmdet.models.losses import L1Loss
from torch import nn


class Head(nn.Module):
    with_reg = True

    def __init__(self, num_feats, num_classes, **kwargs):
        super().__init__()
        self.num_classes = num_classes
        self.fc_reg = nn.Linear(num_feats, 4)
        self.loss_bbox = L1Loss()
        self.fc_cls = nn.Linear(num_feats, num_classes + 1)
        self.loss_cls = FCBL(num_classes, **kwargs)


@pytest.mark.golden('bacl_fhm.npz')
def test_equals_the_official_classification_step(golden):
    """Statistics, sampling, generation, loss, gradients and state of one official step."""
    full = {k.removeprefix('full_'): v for k, v in golden.items() if k.startswith('full_')}
    num_classes, num_feats = int(golden['num_classes']), int(golden['feat_dim'])
    head = Head(num_feats, num_classes, alpha=float(full['alpha']),
                prob_thr=float(full['prob_thr']), with_weight=bool(full['reweight'])).double()
    head.fc_cls.load_state_dict(dict(weight=full['fc_weight'], bias=full['fc_bias']))
    indicator = head.loss_cls.indicator
    indicator.score_sum.copy_(full['cm_numerator_before'])
    indicator.num_samples.copy_(full['num_gt_before'])
    distribution = ClassFeatureDistribution(
        num_classes, num_feats, float(golden['decay_ratio'])).double()
    for state, name in ((distribution.mean, 'prototype'), (distribution.var, 'variance'),
                        (distribution.is_known, 'used')):
        state.copy_(golden[f'{name}_after_2'])

    distribution.observe(full['stat_embeddings'], full['stat_labels'])
    torch.testing.assert_close(distribution.mean, full['prototype_after'])
    torch.testing.assert_close(distribution.var, full['variance_after'])
    classes = sample_classes(class_probability(indicator.strength()), full['sampling_uniform'])
    # The official step leaves out what is drawn of unknown classes.
    classes = classes[distribution.is_known[classes]]
    num_per_class = int(golden['sampled_num_features'])
    labels = classes.repeat_interleave(num_per_class)
    assert torch.equal(labels, full['hallucinated_labels'])
    feats = distribution.sample(
        classes, full['noise'].unflatten(0, (len(classes), num_per_class))).flatten(0, 1)
    torch.testing.assert_close(feats, full['hallucinated_features'])

    logits = full['logits'].clone().requires_grad_()
    weights = torch.ones(len(logits), dtype=torch.float64)
    # The official run has logits, not features, of the RoIs.
    head.fc_cls.register_forward_hook(
        lambda module, args, out: torch.cat([logits, out[len(logits):]]))
    with ClassifierTap(head, len(logits), lambda *_: ExtraSamples(feats, labels)):
        cls_score = head.fc_cls(torch.zeros(len(logits) + 3, num_feats).double())
        loss = head.loss_cls(cls_score, full['labels'], weights, avg_factor=float(len(logits)))
    loss.backward()
    for ours, theirs in ((loss.detach(), 'loss'), (logits.grad, 'grad_logits'),
                         (head.fc_cls.weight.grad, 'grad_fc_weight'),
                         (head.fc_cls.bias.grad, 'grad_fc_bias'),
                         (indicator.score_sum, 'cm_numerator_after'),
                         (indicator.num_samples, 'num_gt_after')):
        torch.testing.assert_close(ours, full[theirs], rtol=1e-9, atol=1e-14)


def test_boxes_and_additional_samples_are_seen_by_those_who_should():
    head, seen = Head(3, 2), {}
    feats = torch.randn(6, 3, requires_grad=True)
    extra, extra_labels = torch.randn(5, 3), torch.tensor([0, 0, 1, 2, 1])  # 2: void

    def exchange(roi_feats, box_feats):
        seen.update(rois=roi_feats, boxes=box_feats)
        return ExtraSamples(extra, extra_labels)

    with ClassifierTap(head, 4, exchange):
        cls_score, bbox_pred = head.fc_cls(feats), head.fc_reg(feats)
        labels = torch.tensor([0, 1, 2, 2])
        loss = head.loss_cls(cls_score, labels, torch.ones(4), avg_factor=4)
    for name, expected in (('rois', feats[:4]), ('boxes', feats[4:])):
        assert torch.equal(seen[name], expected) and not seen[name].requires_grad
    torch.testing.assert_close(cls_score, head.fc_cls(feats[:4]))
    torch.testing.assert_close(bbox_pred, head.fc_reg(feats[:4]))
    twin = FCBL(2)
    expected = twin(head.fc_cls(torch.cat([feats[:4], extra[[0, 1, 2, 4]]])),
                    torch.cat([labels, extra_labels[[0, 1, 2, 4]]]), avg_factor=8)
    torch.testing.assert_close(loss, expected)
    grads = [torch.autograd.grad(value, [head.fc_cls.weight, feats]) for value in (loss, expected)]
    torch.testing.assert_close(*grads)
    assert torch.equal(head.loss_cls.indicator.num_samples, twin.indicator.num_samples)
    torch.testing.assert_close(head.loss_cls.indicator.score_sum, twin.indicator.score_sum)


def test_the_seam_closes_behind_the_block_also_after_an_error():
    head = Head(3, 2)
    feats, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 2])

    def run():
        logits = head.fc_cls(feats)
        return head.loss_cls(logits, labels, torch.ones(4), avg_factor=4), head.fc_reg(feats)

    expected = [value.detach() for value in head.eval() and run()]
    with pytest.raises(ZeroDivisionError), ClassifierTap(head, 4, None):
        raise ZeroDivisionError
    assert all(torch.equal(*pair) for pair in zip(run(), expected, strict=True))


def test_a_head_with_other_layers_is_left_as_it_was():
    head = Head(3, 2)
    del head.fc_reg
    with pytest.raises(AttributeError, match='fc_reg'), ClassifierTap(head, 4, None):
        pass
    assert not head.fc_cls._forward_pre_hooks and not head.fc_cls._forward_hooks
    assert not head.loss_cls._forward_pre_hooks


def both_losses(head, feats, labels, targets, exchange, after_loss=None):
    """Losses of the RoIs ``feats[:4]``, as mmdet's head computes them."""
    with ClassifierTap(head, 4, exchange, after_loss):
        cls_score, bbox_pred = head.fc_cls(feats), head.fc_reg(feats)
        positive = labels < head.num_classes
        loss_cls = head.loss_cls(cls_score, labels, torch.ones(4), avg_factor=4.0)
        preds = bbox_pred if head.reg_class_agnostic else bbox_pred.view(4, -1, 4)[
            torch.arange(4), labels.clamp(max=head.num_classes - 1)]
        loss_bbox = head.loss_bbox(preds[positive], targets[positive],
                                   torch.ones(int(positive.sum()), 4), avg_factor=4)
    return loss_cls, loss_bbox


@pytest.mark.parametrize('class_agnostic', [True, False])
@pytest.mark.parametrize('total_weight', [None, 0.1, 0.0])
def test_weights_and_box_targets_of_extra_samples(total_weight, class_agnostic):
    """Like RoIs they count in sum and divisor; with a total weight w they add w mean losses."""
    torch.manual_seed(0)
    head = Head(3, 2).double().eval()
    head.reg_class_agnostic = class_agnostic
    head.fc_reg = nn.Linear(3, 4 if class_agnostic else 8).double()
    feats, targets = torch.randn(4, 3).double(), torch.randn(4, 4).double()
    labels = torch.tensor([0, 1, 2, 2])
    extra = ExtraSamples(torch.randn(3, 3).double(), torch.tensor([1, 2, 0]),  # the second is void
                         torch.randn(3, 4).double(), total_weight)
    losses = both_losses(head, feats, labels, targets, lambda *_: extra)

    used = torch.tensor([0, 2])
    twin = FCBL(2).eval()
    each_cls = [twin(head.fc_cls(inputs), targets_of, reduction_override='none')
                for inputs, targets_of in ((feats, labels),
                                           (extra.feats[used], extra.labels[used]))]

    def box_loss(feats, labels, targets):
        preds = head.fc_reg(feats)
        preds = preds if class_agnostic else preds.view(len(labels), 2, 4)[
            torch.arange(len(labels)), labels]
        return (preds - targets).abs().sum(1)

    each_bbox = [box_loss(feats[:2], labels[:2], targets[:2]),
                 box_loss(extra.feats[used], extra.labels[used], extra.box_targets[used])]
    for loss, (of_rois, of_extra) in zip(losses, (each_cls, each_bbox), strict=True):
        expected = (of_rois.sum() + of_extra.sum()) / 6 if total_weight is None else \
            of_rois.sum() / 4 + total_weight * of_extra.mean()
        torch.testing.assert_close(loss, expected)


def test_without_box_targets_extra_samples_are_not_regressed():
    head = Head(3, 2)
    head.reg_class_agnostic = True
    feats, labels, targets = torch.randn(4, 3), torch.tensor([0, 1, 2, 2]), torch.zeros(4, 4)
    _, loss = both_losses(head, feats, labels, targets,
                          lambda *_: ExtraSamples(torch.ones(2, 3), torch.tensor([0, 0])))
    torch.testing.assert_close(loss, head.fc_reg(feats)[:2].abs().sum() / 4)


def test_after_the_loss_all_logits_and_labels_are_shown():
    head, shown = Head(3, 2), []
    head.reg_class_agnostic = True
    feats, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 2])
    extra = ExtraSamples(torch.randn(2, 3), torch.tensor([1, 1]))
    both_losses(head, feats, labels, torch.zeros(4, 4), lambda *_: extra,
                lambda *args: shown.append(args))
    ((logits, all_labels),) = shown
    torch.testing.assert_close(logits, head.fc_cls(torch.cat([feats, extra.feats])))
    assert all_labels.tolist() == [0, 1, 2, 2, 1, 1] and not logits.requires_grad
