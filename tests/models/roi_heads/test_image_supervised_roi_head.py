import bacl  # noqa: F401
import pytest
import torch
from bacl.models.roi_heads import largest_proposals
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData


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
        bbox_head=dict(type=head, in_channels=4, fc_out_channels=6, roi_feat_size=3,
                       num_classes=3, loss_cls=dict(type=loss)), **kwargs)


@pytest.mark.parametrize(('kwargs', 'error', 'message'), [
    (dict(image_label_weight=-1), ValueError, 'image_label_weight='),
    (dict(soft_label_weight=-1), ValueError, 'soft_label_weight='),
    (dict(head='IterativeBBoxHead'), TypeError, 'runs a layer fc_cls once.*IterativeBBoxHead'),
    (dict(loss='EquilibriumLoss', image_label_weight=0.1), TypeError,
     'EquilibriumLoss, in which MeanClassificationScore'),
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


def test_an_image_label_says_nothing_about_objectness():
    torch.manual_seed(0)
    head = MODELS.build(roi_head('ObjectnessBCELoss', image_label_weight=1.0))
    x, labels = (torch.rand(1, 4, 8, 8),), torch.tensor([1])
    boxes = [torch.tensor([[0., 0, 30, 30]])]
    loss = head._image_label_loss(x, boxes, labels)
    grad = torch.autograd.grad(loss, head.bbox_head.fc_cls.bias)[0]
    _, logits = head._classify(0, x, boxes)
    target = torch.tensor([0., 1, 0])
    torch.testing.assert_close(grad[:3], logits[0, :3].sigmoid() - target)
    assert grad[3] == 0
