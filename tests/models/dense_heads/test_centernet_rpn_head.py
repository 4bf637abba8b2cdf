"""CenterNet as an RPN, and the config of CenterNet2 that has it."""
import math
from pathlib import Path

import bacl  # noqa: F401
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

CONFIG = 'richsem/centernet2_r50_fpn_richsem-2x_lvis-v1.py'


@pytest.fixture
def model_cfg():
    init_default_scope('mmdet')
    return Config.fromfile(Path(__file__).parents[3] / 'configs' / CONFIG).model


@pytest.fixture
def head(model_cfg):
    torch.manual_seed(0)
    return MODELS.build(dict(model_cfg.rpn_head, in_channels=8, feat_channels=32,
                             train_cfg={}, test_cfg=model_cfg.test_cfg.rpn))


def test_proposals_of_training_are_those_of_a_test(head, model_cfg):
    x = [torch.randn(1, 8, 256 // stride, 256 // stride) for stride in head.strides]
    found = []
    for mode in (True, False):
        with torch.no_grad():
            (result,) = head.train(mode).predict_by_feat(
                *head(x), batch_img_metas=[dict(img_shape=(256, 256))], rescale=False,
                cfg=model_cfg.train_cfg.rpn_proposal)
        found.append(result.bboxes)
    assert len(found[0]) > 100 and torch.equal(*found)


def test_what_the_losses_ask_for_are_the_boxes(head):
    boxes = torch.tensor([[10., 20, 50, 70], [60, 40, 250, 230]])
    sizes = [(256 // stride, 256 // stride) for stride in head.strides]
    gt = InstanceData(bboxes=boxes, labels=torch.zeros(2, dtype=torch.long))
    heat, distances = head.get_targets(head.prior_generator.grid_priors(sizes, device='cpu'), [gt])
    has_target = distances.min(1).values >= 0
    heat, distances = (values.where(has_target[:, None], torch.zeros(())).split(
        [height * width for height, width in sizes]) for values in (heat, distances))
    scores, distances = ([values.view(1, *size, -1).permute(0, 3, 1, 2) for values, size
                          in zip(levels, sizes, strict=True)] for levels in (heat, distances))
    meta = dict(img_shape=(256, 256))
    losses = head.loss_by_feat([score.logit(1e-4) for score in scores], distances, [gt], [meta])
    assert losses['loss_bbox'].item() == pytest.approx(0, abs=1e-5)
    (result,) = head.predict_by_feat(
        [score.logit(1e-4) for score in scores], distances, batch_img_metas=[meta], rescale=False,
        cfg=Config(dict(nms_pre=9, max_per_img=9, min_bbox_size=0, score_thr=0.3,
                        nms=dict(type='nms', iou_threshold=0.9))))
    torch.testing.assert_close(result.bboxes.sort(0).values, boxes)


def test_an_image_without_objects_is_background(head):
    sizes = [(256 // stride, 256 // stride) for stride in head.strides]
    points = head.prior_generator.grid_priors(sizes, device='cpu')
    nothing = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    one = InstanceData(bboxes=torch.tensor([[10., 20, 50, 70]]), labels=torch.tensor([0]))
    heat, distances = head.get_targets(points, [nothing, one])
    is_first = torch.cat([torch.arange(2).repeat_interleave(height * width) == 0
                          for height, width in sizes])
    assert not heat[is_first].any() and heat.dtype == torch.float32 and heat[~is_first].any()
    assert (distances[is_first] == -1).all()
    low, high = (head.loss_by_feat(
        [torch.full((1, 1, *size), logit) for size in sizes], [torch.ones(1, 4, *size)
                                                               for size in sizes],
        [nothing], [dict(img_shape=(256, 256))])['loss_cls'] for logit in (-6., 0.))
    assert 0 <= low < 1e-2 * high


def test_a_roi_is_read_from_the_level_that_fpn_says(model_cfg):
    extractor = MODELS.build(model_cfg.roi_head.bbox_roi_extractor)
    sides = torch.tensor([60., 111, 113, 223, 225, 447, 449, 900, 1800])
    rois = torch.stack([0 * sides, 0 * sides, 0 * sides, sides, sides], 1)
    strides = [extractor.featmap_strides[level] for level in extractor.map_roi_levels(rois, 5)]
    assert strides == [8, 8, 8, 8, 16, 16, 32, 64, 128]


def test_scores_have_the_focal_loss_of_the_official_code(head):
    scores, heat = torch.tensor([[0.3], [0.6]]), torch.tensor([[1.], [0.8]])
    loss = head.loss_cls(scores, heat, pos_inds=torch.tensor([0]), pos_labels=torch.tensor([0]),
                         avg_factor=1)
    positive = 0.5 * 0.25 * (1 - 0.3) ** 2 * -math.log(0.3)
    negative = 0.5 * 0.75 * 0.6 ** 2 * (1 - 0.8) ** 4 * -math.log(1 - 0.6)
    assert loss.item() == pytest.approx(positive + negative, rel=1e-4)


def test_stages_of_the_cascade_are_those_of_the_official_code(model_cfg):
    stages = [stage.assigner for stage in model_cfg.train_cfg.rcnn]
    for key in ('pos_iou_thr', 'neg_iou_thr', 'min_pos_iou'):
        assert [stage[key] for stage in stages] == [0.6, 0.7, 0.8]
    assert model_cfg.roi_head.stage_loss_weights == [1, 1, 1]
