"""No part of a training step asks a GPU for a value; shown without a GPU.

Fake tensors have a device and a shape but no data: who asks them for a value fails. They have no
backward pass without a GPU, so that operators which would wait are also counted on real tensors.
"""
import bacl  # noqa: F401
import pytest
import torch
from bacl.models.augmenters import (
    FASA,
    FeatureHallucinator,
    FeatureReplay,
    MemorySampler,
    Samples,
)
from bacl.models.losses import FCBL, ContrastivePairLoss, EquilibriumLoss
from bacl.models.predictors import CosineLinear
from bacl.models.roi_heads.classifier_tap import ClassifierTap
from bacl.models.roi_heads.long_tail_roi_head import jittered_boxes
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from waiting_operators import WaitingOperators

C, D, N, S = 7, 4, 12, 5
DYNAMIC_INDICATORS = [
    dict(type='ConfusionMatrix'), dict(type='ConfusionMatrix', hard=True),
    dict(type='ConfusionMatrix', dtype='float32'), dict(type='TruePositiveRate'),
    dict(type='MeanClassificationScore'), dict(type='CumulativeInstanceNumber'),
]


@pytest.fixture
def fake_gpu():
    """New tensors are fake ones on a GPU."""
    with FakeTensorMode(allow_non_fake_inputs=False), torch.device('cuda'):
        yield


def fake_labels(size=N):
    return torch.zeros(size, dtype=torch.long)


class Head(nn.Module):
    with_reg, num_classes = False, C

    def __init__(self, loss_cls):
        super().__init__()
        self.fc_cls = nn.Linear(D, C + 1)
        self.loss_cls = loss_cls


def step(loss_cls, hallucinator):
    """What an FHM RoI head does with its classifier, RoIs and jittered boxes in a step."""
    head = Head(loss_cls)

    def exchange(roi_feats, box_feats):
        boxes = hallucinator.box_generator(torch.rand(S, 4), (480, 640))
        assert boxes.shape == (16 * S, 4)
        return hallucinator(Samples(roi_feats, fake_labels()), Samples(box_feats, fake_labels(S)),
                            loss_cls.indicator.strength())

    with ClassifierTap(head, N, exchange):
        cls_score = head.fc_cls(torch.rand(N + S, D))
        return loss_cls(cls_score, fake_labels(), torch.ones(N), avg_factor=N)


every_setting = pytest.mark.parametrize('prob_thr, above_true', [
    (0.7, True), (None, True), (0.7, False)])


@pytest.mark.usefixtures('fake_gpu')
@pytest.mark.parametrize('indicator', DYNAMIC_INDICATORS, ids=str)
@every_setting
def test_a_step_of_fcbl_and_hallucination_waits_for_nothing(indicator, prob_thr, above_true):
    loss_cls = FCBL(C, prob_thr=prob_thr, above_true=above_true, indicator=indicator)
    loss = step(loss_cls, FeatureHallucinator(C, D))
    assert loss.device.type == 'cuda' and loss.requires_grad


@pytest.mark.parametrize('indicator', DYNAMIC_INDICATORS, ids=str)
@every_setting
def test_nor_does_its_backward_pass(indicator, prob_thr, above_true, monkeypatch):
    loss_cls = FCBL(C, prob_thr=prob_thr, above_true=above_true, indicator=indicator)
    hallucinator = FeatureHallucinator(C, D)
    with WaitingOperators() as operators:
        step(loss_cls, hallucinator).backward()
    assert operators.count > 0  # as on a CPU
    monkeypatch.setattr('bacl.ops.class_groups.is_on_cpu', lambda tensor: False)
    with WaitingOperators() as operators:
        step(loss_cls, hallucinator).backward()
    assert operators.count == 0


def build_loss(loss_type):
    """A loss that knows what hooks tell it, with all that it does."""
    kwargs = dict(soft_start=0) if loss_type.startswith('PairwiseBalanced') else {}
    loss = MODELS.build(dict(type=loss_type, num_classes=C, **kwargs))
    if loss_type == 'C2AMLoss':
        loss.set_classifier(CosineLinear(D, C + 1))
    return loss


@pytest.mark.parametrize('loss_type', [
    'AdaptiveClassSuppressionLoss', 'EqualizedFocalLoss', 'GroupSoftmaxLoss',
    'PairwiseBalancedEqualizationLossV2', 'PairwiseBalancedSeesawLoss',
    'PairwiseBalancedSoftmaxLoss', 'ROGLoss', 'SynchronizedSeesawLoss'])
def test_losses_wait_for_nothing_forward_and_backward(loss_type, monkeypatch):
    monkeypatch.setattr('bacl.ops.class_groups.is_on_cpu', lambda tensor: False)
    loss = build_loss(loss_type)
    if hasattr(loss, 'class_counts'):
        loss.class_counts.set_counts([1, 20, 300, 4000, 5, 6, 7])
    loss.knows_groups = True
    logits = torch.rand(N, loss.get_cls_channels(C), requires_grad=True)
    labels = torch.arange(N) % (C + 1)
    with WaitingOperators() as operators:
        loss(logits, labels, torch.ones(N), avg_factor=N).backward()
        loss.get_accuracy(logits.detach(), labels)
    assert operators.count == 0


def augmenter_step(augmenter):
    """A step of an augmenter with the equilibrium loss, which observes before it computes."""
    loss_cls = EquilibriumLoss(C)
    head, labels = Head(loss_cls), fake_labels()

    def exchange(roi_feats, box_feats):
        return augmenter(Samples(roi_feats, labels, torch.rand(N, 4)),
                         Samples(box_feats, fake_labels(S), torch.rand(S, 4)),
                         loss_cls.indicator.strength())

    def after_loss(logits, labels):
        augmenter.observe(logits, labels, N)

    with ClassifierTap(head, N, exchange, after_loss):
        cls_score = head.fc_cls(torch.rand(N + S, D))
        return loss_cls(cls_score, labels, torch.ones(N), avg_factor=N)


def augmenter_of(build):
    augmenter = build()
    if hasattr(augmenter, 'class_counts'):
        augmenter.class_counts.has_counts = True  # of a hook, before the first step
        augmenter.class_counts.counts.fill_(1)
    return augmenter


every_other_augmenter = pytest.mark.parametrize('build', [
    lambda: FASA(C, D, start=0), lambda: FeatureReplay(C, D), lambda: MemorySampler(C, D),
], ids=['FASA', 'FeatureReplay', 'MemorySampler'])


@pytest.mark.usefixtures('fake_gpu')
@every_other_augmenter
def test_a_step_of_other_augmenters_waits_for_nothing(build):
    augmenter = augmenter_of(build)
    for _ in range(2):
        loss = augmenter_step(augmenter)
    assert loss.device.type == 'cuda' and loss.requires_grad


@every_other_augmenter
def test_nor_does_the_backward_pass_of_other_augmenters(build, monkeypatch):
    augmenter = augmenter_of(build)
    with WaitingOperators() as operators:
        augmenter_step(augmenter).backward()
    assert operators.count > 0  # as on a CPU
    monkeypatch.setattr('bacl.ops.class_groups.is_on_cpu', lambda tensor: False)
    with WaitingOperators() as operators:
        augmenter_step(augmenter).backward()
    assert operators.count == 0


@pytest.mark.usefixtures('fake_gpu')
@pytest.mark.parametrize('loss_type', [
    'AdaptiveClassSuppressionLoss', 'BalancedSigmoidLoss', 'BalancedSoftmaxLoss', 'C2AMLoss',
    'DropLoss', 'EffectiveClassMarginLoss', 'EqualizationLoss', 'EqualizationLossV2',
    'EqualizedFocalLoss', 'EqualizedQualityFocalLoss', 'FederatedFocalLoss', 'FederatedLoss',
    'GRWCrossEntropyLoss', 'GumbelCELoss', 'GumbelDropLoss', 'MetaBalancedSigmoidLoss',
    'ObjectnessBCELoss', 'PairwiseBalancedEqualizationLossV2', 'PairwiseBalancedSeesawLoss',
    'PairwiseBalancedSoftmaxLoss', 'ROGLoss', 'SigmoidBCELoss', 'SoftmaxCELoss',
    'SynchronizedSeesawLoss'])
def test_other_losses_wait_for_nothing(loss_type):
    loss = build_loss(loss_type)
    loss.knows_groups = True
    if hasattr(loss, 'class_counts'):
        loss.class_counts.has_counts = True  # of a hook, before the first step
    logits = torch.rand(N, loss.get_cls_channels(C), requires_grad=True)
    assert loss(logits, fake_labels(), torch.ones(N), avg_factor=N).requires_grad


@pytest.mark.usefixtures('fake_gpu')
def test_a_loss_of_pairs_waits_for_nothing_on_one_rank():
    first, second = torch.rand(N, D, requires_grad=True), torch.rand(N, D)
    assert ContrastivePairLoss()(first, second, fake_labels()).requires_grad


@pytest.mark.usefixtures('fake_gpu')
@pytest.mark.parametrize('ask', [
    lambda x: x.sum().item(), lambda x: x.nonzero(), lambda x: x[x > 0], lambda x: x.unique(),
    lambda x: bool((x > 0).any())])
def test_fake_tensors_notice_whoever_waits(ask):
    with pytest.raises((DataDependentOutputException, DynamicOutputShapeException)):
        ask(torch.zeros(3))


@pytest.mark.usefixtures('fake_gpu')
def test_jittered_rois_wait_for_nothing():
    samples = []
    for num_objects in (3, 0):
        samples.append(DetDataSample(metainfo=dict(img_shape=(480, 640))))
        samples[-1].gt_instances = InstanceData(
            bboxes=torch.rand(num_objects, 4), labels=fake_labels(num_objects))
    rois, boxes = jittered_boxes(FeatureHallucinator(C, D), None, samples)
    assert rois.shape == (48, 5) and boxes.labels.shape == (48,) and rois.device.type == 'cuda'


@pytest.mark.parametrize('wait', [lambda x: x[x > 0], lambda x: x.masked_select(x > 0),
                                  lambda x: x.sum().item(), lambda x: x.nonzero()])
def test_operators_that_wait_are_counted(wait):
    with WaitingOperators() as operators:
        wait(torch.ones(3))
    assert operators.count > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_cuda_itself_sees_no_synchronisation():
    with torch.device('cuda'):
        loss_cls, hallucinator = FCBL(C), FeatureHallucinator(C, D)
        step(loss_cls, hallucinator).backward()  # what is allocated or compiled once
        torch.cuda.set_sync_debug_mode('error')
        try:
            step(loss_cls, hallucinator).backward()
        finally:
            torch.cuda.set_sync_debug_mode('default')
