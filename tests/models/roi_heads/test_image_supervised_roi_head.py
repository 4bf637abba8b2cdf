from types import SimpleNamespace

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.annotations import ClassTable
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.models.roi_heads import largest_proposals
from mmdet.models.task_modules import SamplingResult
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from waiting_operators import WaitingOperators


def test_each_coarse_box_gets_the_largest_proposal_whose_centre_is_in_it():
    whole, left, right = [0., 0, 100, 100], [0., 0, 50, 100], [50., 0, 100, 100]
    proposals = torch.tensor([[0., 0, 10, 10], [5, 5, 45, 95], [40, 0, 100, 100], [60, 0, 90, 50]])
    got = largest_proposals(torch.tensor([whole, left, right]), proposals)
    assert got.tolist() == proposals[[2, 1, 2]].tolist()  # the centre of the third is at 70


def test_a_coarse_box_without_a_proposal_stays():
    box = torch.tensor([[0., 0, 20, 20]])
    assert torch.equal(largest_proposals(box, torch.tensor([[50., 50, 60, 60]])), box)
    assert torch.equal(largest_proposals(box, torch.zeros(0, 4)), box)
    assert largest_proposals(torch.zeros(0, 4), box).shape == (0, 4)


def roi_head(loss='SoftmaxCELoss', head='Shared2FCBBoxHead', **kwargs):
    return ConfigDict(
        type='ImageSupervisedRoIHead',
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor', out_channels=4, featmap_strides=[4],
            roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=2)),
        bbox_head=dict(type=head, in_channels=4, fc_out_channels=6, roi_feat_size=3, num_classes=3,
                       loss_cls=dict(type=loss) if isinstance(loss, str) else loss), **kwargs)


@pytest.mark.parametrize(('kwargs', 'error', 'message'), [
    (dict(image_label_weight=-1), ValueError, 'image_label_weight='),
    (dict(soft_label_weight=-1), ValueError, 'soft_label_weight='),
    (dict(head='IterativeBBoxHead'), TypeError, 'runs a layer fc_cls once.*IterativeBBoxHead'),
    (dict(loss='EquilibriumLoss', image_label_weight=0.1), TypeError,
     'EquilibriumLoss, in which MeanClassificationScore'),
    (dict(loss='GroupSoftmaxLoss', image_label_weight=0.1), TypeError,
     'GroupSoftmaxLoss, which is normalised'),
    (dict(loss='ROGLoss', image_label_weight=0.1), TypeError, 'ROGLoss, which is normalised'),
])
def test_what_does_not_fit_is_refused(kwargs, error, message):
    with pytest.raises(error, match=message):
        MODELS.build(roi_head(**kwargs))


def test_without_either_it_is_the_host():
    head = MODELS.build(roi_head())
    assert head.semantic_branch is None
    assert head.image_level_loss((torch.zeros(1, 4, 8, 8),), [], []) == {}


def test_a_branch_in_a_detector_without_a_teacher_is_refused():
    head = MODELS.build(roi_head(semantic_branch=dict(type='TextCosineLinear', embed_dims=2)))
    sample = DetDataSample()
    sample.gt_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long())
    with pytest.raises(RuntimeError, match='teacher_logits.*ImageSupervisedDetector'):
        head.loss((torch.zeros(1, 4, 8, 8),), [InstanceData()], [sample])


@pytest.mark.parametrize('loss', ['ObjectnessBCELoss', dict(type='ROGLoss', ranking_weight=0)])
def test_an_image_label_says_nothing_about_objectness(loss):
    torch.manual_seed(0)
    head = MODELS.build(roi_head(loss, image_label_weight=1.0))
    x, labels = (torch.rand(1, 4, 8, 8),), torch.tensor([1])
    boxes = [torch.tensor([[0., 0, 30, 30]])]
    loss = head._image_label_loss(x, boxes, labels)
    grad = torch.autograd.grad(loss, head.bbox_head.fc_cls.bias)[0]
    _, logits = head._classify(0, x, boxes)
    target = torch.tensor([0., 1, 0])
    torch.testing.assert_close(grad[:3], logits[0, :3].sigmoid() - target)
    assert grad[3] == 0


def test_nor_about_the_background_of_acsl():
    head = MODELS.build(roi_head('AdaptiveClassSuppressionLoss', image_label_weight=1.0))
    counts = np.array([2, 20, 200])
    head.bbox_head.loss_cls.set_class_counts(ClassTable(
        tuple('abc'), counts, counts, 222, LVIS_GROUPS, np.arange(3)))
    torch.nn.init.constant_(head.bbox_head.fc_cls.bias, 5)  # all compete
    loss = head._image_label_loss((torch.rand(1, 4, 8, 8),), [torch.tensor([[0., 0, 30, 30]])],
                                  torch.tensor([1]))
    grad = torch.autograd.grad(loss, head.bbox_head.fc_cls.bias)[0]
    assert grad[1] < 0 < grad[0] and grad[3] == 0


def test_nor_about_those_of_seesaw():
    head = MODELS.build(roi_head('SynchronizedSeesawLoss', image_label_weight=1.0))
    loss = head._image_label_loss((torch.rand(1, 4, 8, 8),), [torch.tensor([[0., 0, 30, 30]])],
                                  torch.tensor([1]))
    grad = torch.autograd.grad(loss, head.bbox_head.fc_cls.bias)[0]
    assert grad[1] < 0 < grad[0] and not grad[3:].any() and len(grad) == 5


@pytest.mark.parametrize('loss', ['EqualizationLossV2', 'FCBL'])
def test_a_loss_learns_from_image_labels_alone_and_its_gradients_by_their_weight(loss):
    x, boxes = (torch.rand(1, 4, 8, 8),), [torch.tensor([[0., 0, 30, 30], [0, 0, 20, 20]])]
    states = []
    for weight, labels in ((1.0, [1, 2]), (0.1, [1, 2]), (1.0, [-1, -1])):
        torch.manual_seed(0)
        kwargs = dict(indicator=dict(type='ConfusionMatrix')) if loss == 'FCBL' else {}
        head = MODELS.build(roi_head(dict(type=loss, **kwargs), image_label_weight=weight))
        head._image_label_loss(x, boxes, torch.tensor(labels))
        states.append({name: value.double() for name, value in head.state_dict().items()
                       if 'loss_cls' in name})
    assert any(value.any() for value in states[0].values())
    for name, value in states[0].items():
        if loss == 'EqualizationLossV2':  # sums of gradients
            torch.testing.assert_close(states[1][name], 0.1 * value)
        assert not states[2][name].any(), name


def test_positives_are_taken_without_waiting_for_a_gpu():
    counts = []
    for branch in (None, dict(type='TextCosineLinear', embed_dims=2)):
        torch.manual_seed(0)
        head = MODELS.build(roi_head(semantic_branch=branch))
        head.train_cfg = ConfigDict(pos_weight=-1)
        head._teacher_logits = [torch.rand(1, 3)]
        box, negative = torch.tensor([[0., 0, 8, 8]]), torch.tensor([[9., 9, 20, 20]])
        gt = SimpleNamespace(gt_inds=torch.tensor([1, 0]), labels=torch.tensor([2, -1]), num_gts=1)
        result = SamplingResult(torch.tensor([0]), torch.tensor([1]), torch.cat([box, negative]),
                                box, gt, torch.zeros(2, dtype=torch.uint8))
        with WaitingOperators() as operators:
            head.bbox_loss((torch.rand(1, 4, 8, 8),), [result])
        counts.append(operators.count)
    feats, logits = head._positives
    assert feats.shape == (1, 6) and torch.equal(logits, head._teacher_logits[0])
    assert counts[0] == counts[1]  # what mmdet waits for
