import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import SoftmaxCELoss
from bacl.models.roi_heads import balanced_selection, merge_scores, simcal_roi_head
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.model import BaseModule
from mmengine.runner.checkpoint import load_state_dict
from mmengine.structures import InstanceData
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

C = 3
BOX_HEAD = dict(
    type='Shared2FCBBoxHead', in_channels=4, fc_out_channels=6, roi_feat_size=3, num_classes=C,
    reg_class_agnostic=True, loss_cls=dict(type='ObjectnessBCELoss'),
    loss_bbox=dict(type='L1Loss'), init_cfg=[
        dict(type='Normal', std=0.01, bias_prob=0.001, override=dict(name='fc_cls')),
        dict(type='Normal', std=0.001, override=dict(name='fc_reg'))])
RCNN = dict(
    assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5,
                  match_low_quality=False),
    sampler=dict(type='RandomSampler', num=8, pos_fraction=0.5, add_gt_as_proposals=True),
    pos_weight=-1, debug=False)
SIMCAL = dict(type='SimCalRoIHead', calibration_loss=dict(type='SoftmaxCELoss'), threshold=5,
              counts=[9, 5, 4])
both = pytest.mark.parametrize('stages', [1, 3])


def roi_head_cfg(stages=1, **kwargs):
    host = dict(type='StandardRoIHead', bbox_head=BOX_HEAD, train_cfg=RCNN) if stages == 1 else \
        dict(type='CascadeRoIHead', num_stages=stages, stage_loss_weights=[1, 0.5, 0.25],
             bbox_head=[BOX_HEAD] * stages, train_cfg=[RCNN] * stages)
    cfg = ConfigDict({**host, **dict(
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor', out_channels=4, featmap_strides=[4],
            roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=2)),
        test_cfg=dict(score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=9)),
        **kwargs})
    if stages > 1:
        cfg.type = cfg.type.replace('SimCalRoI', 'SimCalCascadeRoI')
    return cfg


def batch(labels_per_image, drawn=None, seed=0):
    torch.manual_seed(seed)
    x = (torch.randn(len(labels_per_image), 4, 16, 16),)
    proposals, samples = [], []
    for i, labels in enumerate(labels_per_image):
        corner = torch.rand(len(labels), 2) * 30
        corners = torch.cat([corner, corner + 10 + torch.rand_like(corner) * 20], dim=1)
        sample = DetDataSample(metainfo=dict(img_shape=(64, 64), scale_factor=(1., 1.)))
        sample.gt_instances = InstanceData(
            bboxes=corners, labels=torch.tensor(labels, dtype=torch.long))
        if drawn is not None:
            sample.set_metainfo(dict(sampled_class=drawn[i]))
        corner = torch.rand(6, 2) * 30
        proposals.append(InstanceData(bboxes=torch.cat([corner, corner + 15], dim=1)))
        samples.append(sample)
    return x, proposals, samples


def detections(head, labels_per_image=((0, 1), (2,)), **kwargs):
    x, proposals, samples = batch(labels_per_image)
    with torch.no_grad():
        return head.eval().predict_candidates(x, [s.metainfo for s in samples], proposals, **kwargs)


# The formulas.


class ThreeLayers(nn.Module):
    """The head of the golden file."""

    def __init__(self, golden):
        super().__init__()
        for name in ('fc1', 'fc2', 'fc_cls'):
            weight = golden[f'{name}_weight_before']
            layer = nn.Linear(*weight.t().shape, dtype=torch.float64)
            layer.weight.data, layer.bias.data = weight, golden[f'{name}_bias_before']
            self.add_module(name, layer)

    def forward(self, feats):
        return self.fc_cls(self.fc2(self.fc1(feats).relu()).relu())


def keys_of(permutation, labels, num_classes):
    """Random numbers that order the background samples as a permutation of them."""
    keys = torch.zeros(len(labels), dtype=torch.float64)
    background = (labels == num_classes).nonzero().flatten()
    keys[background[permutation]] = torch.arange(len(permutation), dtype=torch.float64)
    return keys


@pytest.mark.golden('simcal_train.npz')
def test_equals_official_selection_loss_and_steps(golden):
    C, head = int(golden['num_classes']), ThreeLayers(golden)
    optimizer, loss_cls = torch.optim.SGD(head.parameters(), float(golden['lr'])), SoftmaxCELoss(C)
    for step, labels in enumerate(golden['roi_labels']):
        drawn = golden['episode_classes'][step][golden['roi_image'][step]]
        keys = keys_of(golden[f'bg_permutation_{step}'], labels, C)
        selected = balanced_selection(labels, drawn, keys, C)
        taken = golden[f'taken_index_{step}']
        assert set(selected.nonzero().flatten().tolist()) == set(taken.tolist())
        assert torch.equal(labels[taken], golden[f'taken_labels_{step}'])
        logits = head(golden['features'][step])
        torch.testing.assert_close(logits[taken].detach(), golden[f'logits_{step}'], rtol=1e-9,
                                   atol=1e-12)
        loss = loss_cls(logits, labels, selected.double(), avg_factor=selected.sum())
        optimizer.zero_grad()
        loss.backward()
        torch.testing.assert_close(loss.detach(), golden['loss'][step], rtol=1e-9, atol=0)
        optimizer.step()
        for name, parameter in head.named_parameters():
            name = name.replace('.', '_')
            for ours, theirs in ((parameter.grad, f'grad_{name}'), (parameter, f'{name}_after')):
                torch.testing.assert_close(ours.detach(), golden[theirs][step], rtol=1e-9,
                                           atol=1e-12)


@pytest.mark.golden('simcal_train.npz')
def test_no_object_of_a_drawn_class_selects_nothing(golden):
    labels = golden['none_roi_labels']
    drawn = golden['none_episode_classes'].repeat_interleave(
        len(labels) // len(golden['none_episode_classes']))
    keys = torch.rand(len(labels))
    selected = balanced_selection(labels, drawn, keys, int(golden['num_classes']))
    assert selected.sum() == golden['none_num_taken'] == 0


@pytest.mark.golden('simcal.npz')
def test_equals_official_scores(golden):
    # There the background is first.
    original, calibrated, expected = (
        golden[name].roll(-1, dims=1) for name in ('logits_original_head', 'logits_calibrated_head',
                                                   'scores'))
    merged = merge_scores(original.softmax(1), calibrated.softmax(1),
                          golden['instance_count'] < golden['threshold'])
    torch.testing.assert_close(merged, expected, rtol=1e-9, atol=1e-15)


def test_selection_by_hand():
    #                      image 0, class 1  | image 1, class 0
    labels = torch.tensor([1, 0, 3, 3, 1,       0, 1, 3, 3, 3])
    drawn = torch.tensor([1, 1, 1, 1, 1,        0, 0, 0, 0, 0])
    keys = torch.tensor([0, 0, 0.5, 0.1, 0,     0, 0, 0.2, 0.9, 0.3])
    selected = balanced_selection(labels, drawn, keys, num_classes=3)
    assert selected.int().tolist() == [1, 0, 0, 1, 1, 1, 0, 1, 0, 1]
    # Less background than objects: all of it.
    assert balanced_selection(labels[:5], drawn[:5], keys[:5], 3).int().tolist() == [1, 0, 1, 1, 1]
    assert balanced_selection(labels[:0], drawn[:0], keys[:0], 3).tolist() == []


def test_scores_by_hand():
    merged = merge_scores(torch.tensor([[0.1, 0.2, 0.7]]), torch.tensor([[0.4, 0.5, 0.6]]),
                          torch.tensor([True, False]))
    assert merged.tolist() == [[pytest.approx(0.4), pytest.approx(0.2), pytest.approx(0.7)]]


def test_neither_asks_a_gpu_for_a_value():
    with FakeTensorMode(allow_non_fake_inputs=False), torch.device('cuda'):
        labels = torch.zeros(5, dtype=torch.long)
        assert balanced_selection(labels, labels, torch.rand(5), C).shape == (5,)
        merged = merge_scores(torch.rand(5, C + 1), torch.rand(5, C + 1), torch.rand(C) < 0.5)
        assert merged.device.type == 'cuda'


# The RoI head.


@both
def test_only_the_calibrated_heads_learn_and_from_selected_rois_alone(stages):
    head = MODELS.build(roi_head_cfg(stages, **SIMCAL))
    head.init_weights()
    losses = head.loss(*batch([[0, 1], [1, 2]], drawn=[1, 2]))
    assert list(losses) == (['loss_calibration'] if stages == 1 else
                            [f's{stage}.loss_calibration' for stage in range(stages)])
    sum(losses.values()).backward()
    for name, parameter in head.named_parameters():
        assert (parameter.grad is not None) == name.startswith('calibration_heads.'), name
    # Class 0 was not drawn: no gradient of a sample of it, whose own would be below 0.
    for calibrated in head.calibration_heads:
        assert calibrated.fc_cls.bias.grad[0] > 0 > calibrated.fc_cls.bias.grad[1:3].min()


def test_loss_is_the_mean_over_the_selected_samples(monkeypatch):
    head = MODELS.build(roi_head_cfg(**SIMCAL))
    seen = []
    monkeypatch.setattr(head.calibration_heads[0].loss_cls, 'forward',
                        lambda *args, **kwargs: seen.append((args, kwargs)) or torch.ones(()))
    head.loss(*batch([[0, 1], [1, 2]], drawn=[1, 2]))
    ((cls_score, labels, weights), kwargs), = seen
    assert len(cls_score) == len(labels) == len(weights)
    taken = labels[weights > 0]
    assert kwargs['avg_factor'] == weights.sum() == len(taken) and 0 not in taken
    assert (taken == C).sum() == (taken < C).sum() > 0


@both
def test_no_drawn_object_gives_a_differentiable_zero(stages):
    head = MODELS.build(roi_head_cfg(stages, **SIMCAL))
    total = sum(head.loss(*batch([[0], []], drawn=[1, 2])).values())
    total.backward()
    assert total == 0
    assert all(p.grad is not None and not p.grad.any()
               for p in head.calibration_heads.parameters())


def test_ranks_share_one_mean(monkeypatch):
    """The other of two ranks has six selected samples."""
    head, args = MODELS.build(roi_head_cfg(**SIMCAL)), ([[0, 1], [1, 2]], [1, 2])
    num_samples = []

    def reduce_mean(number):
        num_samples.append(number)
        return (number + 6) / 2

    alone = head.loss(*batch(*args))['loss_calibration']
    monkeypatch.setattr(simcal_roi_head, 'reduce_mean', reduce_mean)
    monkeypatch.setattr(simcal_roi_head, 'get_world_size', lambda: 2)
    shared = head.loss(*batch(*args))['loss_calibration']
    torch.testing.assert_close(shared, alone * num_samples[0] / ((num_samples[0] + 6) / 2))
    head.loss(*batch([[0]], [1]))  # nothing is selected
    assert len(num_samples) == 2 and num_samples[1] == 0


@both
def test_heads_start_as_copies_of_stage_1_and_go_on_as_saved(stages):
    stage1 = MODELS.build(roi_head_cfg(stages))
    for load in (nn.Module.load_state_dict, load_state_dict):  # torch's and mmengine's
        head = MODELS.build(roi_head_cfg(stages, **SIMCAL))
        load(head, stage1.state_dict(), strict=False)
        for box_head, calibrated in zip(head.bbox_heads, head.calibration_heads, strict=True):
            theirs = dict(box_head.named_parameters())
            for name, parameter in calibrated.named_parameters():
                assert torch.equal(parameter, theirs[name])
    with torch.no_grad():
        for parameter in head.calibration_heads.parameters():
            parameter += 1
    resumed = MODELS.build(roi_head_cfg(stages, **SIMCAL))
    resumed.load_state_dict(head.state_dict())
    for (name, saved), loaded in zip(head.named_parameters(), resumed.parameters(), strict=True):
        assert torch.equal(saved, loaded), name


def test_heads_that_are_no_copies_start_with_the_initialisation_of_mmdet():
    head = MODELS.build(roi_head_cfg(**SIMCAL, copies_box_head=False))
    before = head.calibration_heads[0].fc_cls.weight.clone()
    assert isinstance(head.calibration_heads, BaseModule)  # or nobody would initialise them
    head.init_weights()
    head.load_state_dict(MODELS.build(roi_head_cfg()).state_dict(), strict=False)
    weight, bias = head.calibration_heads[0].fc_cls.weight, head.calibration_heads[0].fc_cls.bias
    assert not torch.equal(weight, before) and weight.abs().max() < 0.06 and not bias.any()
    assert not torch.equal(weight, head.bbox_head.fc_cls.weight)


@both
def test_tail_classes_have_the_scores_of_the_calibrated_head(stages):
    host = MODELS.build(roi_head_cfg(stages, type='LongTailRoIHead' if stages == 1 else
                                     'LongTailCascadeRoIHead'))
    head = MODELS.build(roi_head_cfg(stages, **SIMCAL))
    head.load_state_dict(host.state_dict(), strict=False)
    with torch.no_grad():
        for calibrated in head.calibration_heads:
            calibrated.fc_cls.weight.normal_()
    expected = detections(host)
    # The same RoIs, all classes by the calibrated heads.
    for box_head, calibrated in zip(host.bbox_heads, head.calibration_heads, strict=True):
        for layer in ('shared_fcs', 'fc_cls'):
            getattr(box_head, layer).load_state_dict(getattr(calibrated, layer).state_dict())
    for found, plain, second in zip(detections(head), expected, detections(host), strict=True):
        second_scores = second.logits.softmax(1)
        assert torch.equal(found.bboxes, plain.bboxes)
        torch.testing.assert_close(found.scores[:, [0, 1, 3]], plain.scores[:, [0, 1, 3]])
        torch.testing.assert_close(found.scores[:, 2], second_scores[:, 2])  # 4 instances
        assert not torch.allclose(found.scores[:, 2], plain.scores[:, 2])


@pytest.mark.parametrize('threshold, calibrated', [(0, 0), (4, 0), (5, 1), (1e9, 3)])
def test_threshold_decides_how_many_classes_are_calibrated(threshold, calibrated):
    head = MODELS.build(roi_head_cfg(**SIMCAL | dict(threshold=threshold)))
    head.load_state_dict(MODELS.build(roi_head_cfg()).state_dict(), strict=False)
    with torch.no_grad():
        head.calibration_heads[0].fc_cls.bias += torch.tensor([3.0, 2.0, 1.0, 0.0])
    found = torch.cat([image.scores for image in detections(head)])
    plain = torch.cat([image.logits for image in detections(head)])
    plain = head.bbox_head.loss_cls.get_activation(plain)
    is_other = ~torch.isclose(found, plain).all(dim=0)
    assert is_other.sum() == calibrated and not is_other[C]


def test_without_proposals_there_are_no_detections():
    head = MODELS.build(roi_head_cfg(**SIMCAL)).eval()
    x, proposals, samples = batch([[0], [1]])
    empty = [InstanceData(bboxes=torch.zeros(0, 4)) for _ in samples]
    metas = [sample.metainfo for sample in samples]
    assert [len(image) for image in head.predict_bbox(x, metas, empty, head.test_cfg)] == [0, 0]
    some = [proposals[0], empty[0]]
    found = head.predict_bbox(x, metas, some, head.test_cfg)
    assert len(found[0]) > 0 and len(found[1]) == 0


def test_images_without_a_drawn_class_are_refused():
    head = MODELS.build(roi_head_cfg(**SIMCAL))
    with pytest.raises(ValueError, match="SimCalRoIHead.*EpisodicSampler.*ClassImagePairs"):
        head.loss(*batch([[0], [1]]))


@pytest.mark.parametrize('kwargs, error', [
    (dict(threshold=-1), 'threshold='),
    (dict(augmenter=dict(type='FeatureHallucinator', indicator=dict(
        type='ImageFrequency', counts=[9, 5, 4]))), 'augmenter='),
    (dict(test_cfg=dict(calibrator=dict(type='IdentityCalibrator'))), 'calibrator=')])
def test_what_it_cannot_take_is_refused(kwargs, error):
    with pytest.raises((TypeError, ValueError), match=f'SimCalRoIHead.{error}'):
        MODELS.build(roi_head_cfg(**SIMCAL | kwargs))
