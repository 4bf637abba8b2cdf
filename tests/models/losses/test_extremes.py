"""What every classification loss survives: any logits, any mix of labels, any precision."""
from itertools import product

import bacl  # noqa: F401
import pytest
import torch
from bacl.annotations import ClassTable
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.models.losses import (
    CountedLoss,
    ForestLoss,
    GroupSoftmaxLoss,
    ImageShareLoss,
    LongTailLoss,
    SynchronizedSeesawLoss,
)
from bacl.models.predictors import CosineLinear
from mmdet.registry import MODELS
from torch.autograd import gradcheck

C = 4
NAMES = sorted(name for name, component in MODELS.module_dict.items()
               if isinstance(component, type) and issubclass(component, LongTailLoss))
LABELS = {
    'mixed': [0, 1, 2, 3, C, C, 3, 0], 'all background': [C] * 8, 'all one class': [2] * 8,
    'one RoI': [1], 'one background RoI': [C], 'zero RoIs': [],
}
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
LOGITS = ('random', 'all high', 'all low', 'as labelled', 'against the labels')
# Settings in which there is more of a loss to see than with its own.
SETTINGS = {'EqualizedFocalLoss': dict(alpha=0.5), 'FederatedFocalLoss': dict(alpha=0.5),
            'ForestLoss': dict(num_parents=(2, 3)),
            'GroupSoftmaxLoss': dict(thresholds=(3,)),
            **{f'PairwiseBalanced{base}': dict(soft_start=0)
               for base in ('EqualizationLossV2', 'SeesawLoss', 'SoftmaxLoss')}}

every_loss = pytest.mark.parametrize('name', NAMES)
every_mix_of_labels = pytest.mark.parametrize('labels', LABELS.values(), ids=LABELS)


def build_new(name, num_classes, **kwargs):
    if issubclass(MODELS.get(name), CountedLoss):
        kwargs['counts'] = range(1, num_classes + 1)
    if issubclass(MODELS.get(name), ImageShareLoss):
        kwargs['num_images'] = 2000  # the first classes are below the thresholds
    if name == 'ForestLoss':
        kwargs['trees'] = [[label % parents for label in range(num_classes)] for parents in (2, 3)]
    loss = MODELS.build({'type': name, 'num_classes': num_classes, **SETTINGS.get(name, {}),
                         **kwargs})
    if name == 'C2AMLoss':
        classifier = CosineLinear(1, num_classes + 1, scale=30.0, learns_scale=False)
        classifier.weight.data = 1.0 + torch.arange(num_classes + 1)[:, None]
        loss.set_classifier(classifier)
    if hasattr(loss, 'set_class_counts'):  # from the groups of training data
        count, group = torch.arange(1, num_classes + 1).numpy(), torch.arange(num_classes).numpy()
        loss.set_class_counts(ClassTable(tuple(map(str, group)), count, count, num_images=9,
                                         groups=LVIS_GROUPS, group=group % 3))
    return loss


def build(name, **kwargs):
    """A loss that has seen a common batch, in training mode."""
    loss = build_new(name, C, **kwargs)
    logits, labels = batch(loss, LABELS['mixed'], 'random', 3.0)
    loss(logits, labels)
    return loss


def right_channels(loss, labels):
    """(N, channels), bool: what should be high, where everything else is low."""
    is_right = labels[:, None] == torch.arange(loss.num_channels)
    if isinstance(loss, GroupSoftmaxLoss):
        return is_right.scatter(1, loss.class_counts.targets[labels], True)
    if isinstance(loss, ForestLoss):
        first = C + 1
        for tree, parents in zip(loss.parents, loss.num_parents, strict=True):
            is_right.scatter_(1, first + tree[labels][:, None], True)
            first += parents + 1
    if isinstance(loss, SynchronizedSeesawLoss):
        is_right[:, -2:] = (labels[:, None] == C) == torch.tensor([False, True])
    return is_right


def batch(loss, labels, kind, scale, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor(labels, dtype=torch.long)
    shape = len(labels), loss.get_cls_channels(C)
    is_right = right_channels(loss, labels)
    sign = {
        # Without ties, at which weights that compare logits jump.
        'random': 2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1,
        'all high': torch.ones(shape), 'all low': -torch.ones(shape),
        'as labelled': torch.where(is_right, 1, -1),
        'against the labels': torch.where(is_right, -1, 1),
    }[kind]
    return (scale * sign).to(dtype).requires_grad_(), labels


def test_all_registered_losses_are_here():
    assert {'AdaptiveClassSuppressionLoss', 'BalancedSigmoidLoss', 'BalancedSoftmaxLoss',
            'C2AMLoss', 'DropLoss', 'EffectiveClassMarginLoss', 'EqualizationLoss',
            'EqualizationLossV2', 'EqualizedFocalLoss', 'EqualizedQualityFocalLoss', 'FCBL',
            'FederatedFocalLoss', 'FederatedLoss', 'ForestLoss', 'GRWCrossEntropyLoss',
            'GroupSoftmaxLoss', 'GumbelCELoss', 'GumbelDropLoss', 'MetaBalancedSigmoidLoss',
            'ObjectnessBCELoss', 'ROGLoss', 'SigmoidBCELoss', 'SoftmaxCELoss',
            'SynchronizedSeesawLoss'} <= set(NAMES)
    assert set(SETTINGS) <= set(NAMES)


@every_loss
@every_mix_of_labels
def test_logits_of_ten_thousand_give_finite_loss_gradient_and_state(name, labels):
    for kind, dtype in product(LOGITS, DTYPES):
        case = f'{kind}, {dtype}'
        loss = build(name)
        for avg_factor in (None, float(max(len(labels), 1))):
            logits, targets = batch(loss, labels, kind, 1e4, dtype)
            value = loss(logits, targets, avg_factor=avg_factor)
            value.backward()
            assert value.isfinite() and value >= 0, case
            assert value.dtype == torch.promote_types(dtype, torch.float32), case
            assert logits.grad.dtype == dtype and logits.grad.isfinite().all(), case
            if not labels:
                assert value == 0, case
        assert all(state.isfinite().all() for state in loss.state_dict().values()), case
        scores = loss.get_activation(logits.detach())
        assert scores.shape == (len(labels), C + 1) and ((scores >= 0) & (scores <= 1)).all(), case
        assert all(accuracy.isfinite() for accuracy in loss.get_accuracy(
            logits.detach(), targets).values()), case


@every_loss
@pytest.mark.parametrize('scale', [1.0, 1e4])
def test_half_precision_is_single_precision_of_the_same_logits(name, scale):
    for dtype in (torch.float16, torch.bfloat16):
        results = []
        for compute in (dtype, torch.float32):
            loss = build(name).eval()
            logits, labels = batch(loss, LABELS['mixed'], 'random', scale, dtype)
            logits = logits.detach().to(compute).requires_grad_()
            value = loss(logits, labels)
            value.backward()
            results.append((value.detach(), logits.grad, loss.get_activation(logits.detach())))
        assert torch.equal(results[0][0], results[1][0])
        assert torch.equal(results[0][1], results[1][1].to(dtype))
        assert torch.equal(results[0][2], results[1][2])  # scores in float32 from both


@every_loss
@every_mix_of_labels
def test_gradient_is_that_of_the_loss(name, labels):
    # In eval(): a loss whose state moves with every call has no difference quotient.
    # Without factors of the loss that depend on the logits and have no gradient, and without
    # a ranking, whose gradient is another by definition.
    constant = dict(q=0) if 'Seesaw' in name else \
        dict(ranking_weight=0) if name == 'ROGLoss' else {}
    loss = build(name, **constant).eval()
    logits, targets = batch(loss, labels, 'random', 3.0, torch.float64)
    weight = torch.linspace(0, 2, len(labels), dtype=torch.float64)
    assert gradcheck(lambda z: loss(z, targets, weight=weight), logits)
    if labels == LABELS['one RoI']:  # reductions are the template's, the same for all labels
        for reduction in ('none', 'sum'):
            assert gradcheck(lambda z, reduction=reduction: loss(
                z, targets, reduction_override=reduction), logits)


@every_loss
def test_gradient_of_a_wrong_logit_saturates_and_of_a_right_one_vanishes(name):
    # A gradient of cross entropy is p - t: 0 where all is right, and else at least what the class
    # weighs.
    loss = build(name).eval()
    if hasattr(loss, 'soft_share'):
        loss.soft_share = 0  # a soft target is never all right
    for kind in ('as labelled', 'against the labels'):
        logits, labels = batch(loss, [0, 1, 2, 3], kind, 1e4)
        loss(logits, labels, reduction_override='sum').backward()
        at_label = (logits.grad * right_channels(loss, labels)).sum(1)
        if kind == 'as labelled':
            assert logits.grad.count_nonzero() == 0
        else:
            assert (at_label <= -0.5).all()


@every_loss
def test_a_single_class_is_enough(name):
    loss = build_new(name, 1)
    for labels in ([0, 1], [0], [1], []):
        logits = torch.full((len(labels), loss.get_cls_channels(1)), 1e4, requires_grad=True)
        value = loss(logits, torch.tensor(labels, dtype=torch.long), avg_factor=1.0)
        value.backward()
        assert value.isfinite() and logits.grad.isfinite().all()
    assert all(state.isfinite().all() for state in loss.state_dict().values())
