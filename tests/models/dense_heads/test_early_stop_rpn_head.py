import bacl  # noqa: F401
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData


def rpn(name):
    return MODELS.build(dict(
        type=name, in_channels=4, feat_channels=4,
        anchor_generator=dict(type='AnchorGenerator', scales=[4], ratios=[1.0], strides=[4]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder')))


def candidates(size=400, spread=40):
    generator = torch.Generator().manual_seed(0)
    corner = spread * torch.rand(size, 2, generator=generator)
    return InstanceData(
        bboxes=torch.cat([corner, corner + 10 + 20 * torch.rand(size, 2, generator=generator)], 1),
        # Many equal scores: their order is that of the candidates.
        scores=torch.rand(size, generator=generator).mul(50).round() / 50,
        level_ids=torch.arange(size) % 2)


@pytest.mark.parametrize('max_per_img, iou_threshold, spread, passes', [
    (30, 0.7, 400, 1),  # the best are enough
    (30, 0.1, 5, 2),  # they overlap: all candidates
    (399, 0.7, 40, 1)])  # all candidates at once
def test_proposals_are_those_of_the_host(max_per_img, iou_threshold, spread, passes, monkeypatch):
    cfg = ConfigDict(max_per_img=max_per_img, min_bbox_size=0,
                     nms=dict(type='nms', iou_threshold=iou_threshold))
    host, ours = rpn('RPNHead'), rpn('EarlyStopRPNHead')
    expected = host._bbox_post_process(candidates(spread=spread), cfg)
    calls, method = [], type(host)._bbox_post_process
    monkeypatch.setattr(type(host), '_bbox_post_process',
                        lambda *args, **kwargs: calls.append(1) or method(*args, **kwargs))
    proposals = ours._bbox_post_process(candidates(spread=spread), cfg)
    assert torch.equal(proposals.bboxes, expected.bboxes)
    assert torch.equal(proposals.scores, expected.scores)
    assert len(calls) == passes


def test_another_nms_sees_all_candidates():
    cfg = ConfigDict(max_per_img=30, nms=dict(type='soft_nms', iou_threshold=0.7))
    seen = []
    ours = rpn('EarlyStopRPNHead')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmdet.models.dense_heads.rpn_head.batched_nms',
                      lambda boxes, scores, *_: (seen.append(len(boxes)) or torch.cat(
                          [boxes, scores[:, None]], 1), torch.arange(len(boxes))))
        ours._bbox_post_process(candidates(), cfg)
    assert seen == [400]
