import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.annotations import ClassTable
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.models.dense_heads import nearness, resample_proposals
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

official_numbers = pytest.mark.golden('forest_nms.npz')
CASES = ('rcf', 'rc_near', 'f_only', 'r_only', 'c_only', 'rc_only')
PYRAMID = (16, 8)  # sizes of levels of strides 8 and 16


def official_choice(golden, proposals, level_ids, case, max_per_level=-1):
    iou_thrs = [float(golden[name]) for name in ('a_r', 'a_c', 'a_f')]
    is_wanted = nearness(proposals[:, :4], golden[f'{case}_gt'].float(),
                         golden['groups'][golden[f'{case}_gt_labels']], 3,
                         float(golden['select_iou']))
    return resample_proposals(proposals[:, :4], proposals[:, 4], level_ids, is_wanted, iou_thrs,
                              max_per_level)


@official_numbers
@pytest.mark.parametrize('case', CASES)
def test_equals_the_official_choice(golden, case):
    proposals = golden[f'{case}_proposals'].float()
    levels = torch.zeros(len(proposals), dtype=torch.long)
    chosen = official_choice(golden, proposals, levels, case)
    assert chosen.tolist() == golden[f'{case}_out_index'].tolist()
    plain = resample_proposals(proposals[:, :4], proposals[:, 4], levels,
                               torch.ones(1, len(proposals), dtype=torch.bool),
                               [float(golden['a_f'])])
    assert plain.tolist() == golden[f'{case}_plain_nms_a_f_index'].tolist()


@official_numbers
def test_equals_the_official_choice_on_two_levels(golden):
    levels = [golden[f'levels_proposals_{level}'].float() for level in range(2)]
    proposals = torch.cat(levels)
    level_ids = torch.arange(2).repeat_interleave(torch.tensor([len(x) for x in levels]))
    chosen = official_choice(golden, proposals, level_ids, 'levels')
    for level in range(2):
        ours = chosen[level_ids[chosen] == level] - level * len(levels[0])
        assert ours.tolist() == golden[f'levels_out_index_{level}'].tolist()
    cut = official_choice(golden, proposals, level_ids, 'levels', int(golden['levels_nms_post']))
    best = proposals[cut]
    best = best[best[:, 4].argsort(descending=True)][:int(golden['levels_max_num'])]
    torch.testing.assert_close(best, golden['levels_final'].float())


def test_near_the_objects_of_each_group_and_near_none():
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]])
    near = nearness(boxes, boxes[:3], torch.tensor([0, 1, 2]), 3, 0.3)
    assert near.int().tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]]
    assert nearness(boxes, boxes[:0], torch.zeros(0).long(), 3, 0.3)[2].all()
    assert nearness(boxes, boxes[:3], torch.tensor([0, 1, 2]), 1, 0.3).all()


def rpn(name='ResamplingRPNHead', **kwargs):
    torch.manual_seed(0)
    head = MODELS.build(ConfigDict(
        type=name, in_channels=4, feat_channels=4,
        anchor_generator=dict(type='AnchorGenerator', scales=[2], ratios=[1.0], strides=[8, 16]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True),
        train_cfg=dict(assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4),
                       sampler=dict(type='RandomSampler', num=8, pos_fraction=0.5,
                                    add_gt_as_proposals=False),
                       allowed_border=-1, pos_weight=-1),
        test_cfg=PROPOSALS, **kwargs))
    head.init_weights()
    return head


PROPOSALS = ConfigDict(nms_pre=200, max_per_img=150, min_bbox_size=0,
                       nms=dict(type='nms', iou_threshold=0.05))
TABLE = ClassTable(tuple('rcf'), np.ones(3), np.ones(3), 1, LVIS_GROUPS, np.arange(3))
FEATS = [torch.randn(2, 4, size, size, generator=torch.Generator().manual_seed(1))
         for size in PYRAMID]


def samples(label, with_class_labels=True):
    """A batch of an image with an object and one without, as a detector hands it to its RPN."""
    batch = []
    for num_objects in (1, 0):
        sample = DetDataSample(metainfo=dict(img_shape=(128, 128), pad_shape=(128, 128)))
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[30.0, 30, 75, 75]])[:num_objects],
            labels=torch.full((num_objects,), label))
        batch.append(sample)
    if with_class_labels:
        MODELS.build(dict(type='KeepClassLabels'))(None, batch)
    for sample in batch:
        sample.gt_instances.labels = torch.zeros_like(sample.gt_instances.labels)
    return batch


def num_near(proposals, lowest=0.05):
    boxes = proposals.bboxes
    return int(nearness(boxes, torch.tensor([[30.0, 30, 75, 75]]), torch.tensor([0]), 2,
                        lowest)[0].sum())


def test_there_are_more_proposals_near_objects_of_rarer_classes():
    # Neighbouring anchors have the IoU 1/3, and 1/7 along the diagonal.
    head = rpn(iou_thrs=(0.9, 0.2, 0.05), near_iou_thr=0.05)
    head.set_class_counts(TABLE)
    numbers = []
    for label in range(3):
        losses, (with_object, without) = head.loss_and_predict(FEATS, samples(label), PROPOSALS)
        assert all(torch.stack(value).isfinite().all() for value in losses.values())
        assert len(with_object) <= 150 and not with_object.labels.any()
        assert (with_object.scores.diff() <= 0).all()
        numbers.append(num_near(with_object))
        assert 'level_ids' not in with_object and len(without)
    assert numbers[0] > numbers[1] > numbers[2] > 0
    # Near frequent ones, and where there is none, it is the plain NMS.
    host = rpn('RPNHead')
    _, expected = host.loss_and_predict(FEATS, samples(2), PROPOSALS)
    for ours, theirs in zip((with_object, without), expected, strict=True):
        torch.testing.assert_close(ours.bboxes, theirs.bboxes)
        torch.testing.assert_close(ours.scores, theirs.scores)
    # As it is in a test.
    torch.testing.assert_close(head.predict(FEATS, samples(0))[0].bboxes, expected[0].bboxes)


@pytest.mark.parametrize('with_groups, with_labels, cure', [
    (False, True, 'MethodHook'), (True, False, 'KeepClassLabels')])
def test_what_is_missing_is_said(with_groups, with_labels, cure):
    head = rpn()
    if with_groups:
        head.set_class_counts(TABLE)
    with pytest.raises(RuntimeError, match=cure):
        head.loss_and_predict(FEATS, samples(0, with_labels), PROPOSALS)


def test_data_without_groups_and_thresholds_out_of_range_are_refused():
    with pytest.raises(ValueError, match='frequency groups'):
        rpn().set_class_counts(ClassTable(tuple('rcf'), np.ones(3), np.ones(3), 1))
    for kwargs in (dict(iou_thrs=(0.9, 1.1)), dict(iou_thrs=()), dict(near_iou_thr=-1)):
        with pytest.raises(ValueError, match=f'{next(iter(kwargs))}='):
            rpn(**kwargs)


def test_its_state_is_that_of_mmdets():
    head = rpn()
    head.set_class_counts(TABLE)
    head.load_state_dict(rpn('RPNHead').state_dict())
