import math

import bacl  # noqa: F401
import pytest
import torch
from bacl.ops import early_stop_nms as module
from bacl.ops.early_stop_nms import multiclass_nms, suppress
from hypothesis import given
from hypothesis import strategies as st
from mmdet.models.layers import multiclass_nms as mmdet_multiclass_nms


def slow_twin(boxes, scores, score_thr, iou_threshold, max_per_img, class_agnostic=False):
    """The definition, candidate by candidate."""
    num_classes = scores.size(1)
    candidates = [(-scores[r, c].item(), r, c) for r in range(len(scores))
                  for c in range(num_classes) if scores[r, c] > score_thr]
    kept = []
    for score, r, c in sorted(candidates):
        box = boxes[r].view(-1, 4)[c if boxes.size(1) > 4 else 0].tolist()
        if all(not overlap(box, other) > iou_threshold for _, _, other_c, other in kept
               if class_agnostic or c == other_c):
            kept.append((-score, r, c, box))
    kept = kept if max_per_img <= 0 else kept[:max_per_img]
    return ([k[3] for k in kept], [k[0] for k in kept], [k[2] for k in kept],
            [k[1] for k in kept])


def overlap(a, b):
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union else math.nan


def random_input(seed, num_rois, num_classes, per_class, levels=None):
    """Clustered boxes on whole pixels, so that overlaps are exact; few score levels make ties."""
    generator = torch.Generator().manual_seed(seed)
    shape = (num_rois, num_classes if per_class else 1)
    corner = torch.randint(0, 12, (*shape, 2), generator=generator).double()
    size = torch.randint(0, 9, (*shape, 2), generator=generator).double()
    scores = torch.rand(num_rois, num_classes, generator=generator, dtype=torch.float64)
    if levels:
        scores = (scores * levels).floor() / levels
    return torch.cat([corner, corner + size], dim=2).flatten(1), scores


def assert_same(actual, expected):
    boxes, scores, labels, rows = actual
    assert (boxes.tolist(), scores.tolist(), labels.tolist(), rows.tolist()) == tuple(expected)


@given(seed=st.integers(0, 2**16), num_rois=st.integers(0, 12), num_classes=st.integers(1, 5),
       per_class=st.booleans(), levels=st.sampled_from([None, 1, 3]),
       score_thr=st.sampled_from([-1.0, 0.0, 1e-4, 0.05, 0.5]),
       iou_threshold=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
       max_per_img=st.sampled_from([-1, 0, 1, 3, 1000]), class_agnostic=st.booleans())
def test_equals_the_definition(seed, num_rois, num_classes, per_class, levels, score_thr,
                               iou_threshold, max_per_img, class_agnostic):
    boxes, scores = random_input(seed, num_rois, num_classes, per_class, levels)
    arguments = (boxes, scores, score_thr, iou_threshold, max_per_img, class_agnostic)
    assert_same(multiclass_nms(*arguments), slow_twin(*arguments))


@pytest.mark.parametrize('factor', [1, 4])
@pytest.mark.parametrize('max_pairs', [0, 2**22])
def test_result_does_not_depend_on_where_the_ranking_is_cut(monkeypatch, factor, max_pairs):
    monkeypatch.setattr(module, 'INITIAL_FACTOR', factor)
    monkeypatch.setattr(module, 'GROWTH_FACTOR', 2)
    monkeypatch.setattr(module, 'MAX_PAIRS', max_pairs)
    for seed in range(20):
        # Two classes of heavily overlapping boxes: most candidates are suppressed.
        boxes, scores = random_input(seed, 40, 2, seed % 2 == 0, levels=10)
        assert_same(multiclass_nms(boxes, scores, 0.0, 0.1, 5),
                    slow_twin(boxes, scores, 0.0, 0.1, 5))


@pytest.mark.parametrize('per_class', [False, True])
@pytest.mark.parametrize('score_thr, max_per_img', [(0.0, -1), (1e-4, 300), (0.05, 100),
                                                    (0.05, 1000)])
def test_equals_mmdet_on_distinct_scores(per_class, score_thr, max_per_img):
    generator = torch.Generator().manual_seed(0)
    num_rois, num_classes = 60, 20
    corner = torch.rand(num_rois, num_classes if per_class else 1, 2, generator=generator) * 60
    size = torch.rand(corner.shape, generator=generator) * 60
    boxes = torch.cat([corner, corner + size], dim=2).flatten(1)
    scores = torch.rand(num_rois, num_classes + 1, generator=generator) ** 4
    dets, labels = mmdet_multiclass_nms(boxes, scores, score_thr,
                                        dict(type='nms', iou_threshold=0.5), max_per_img)
    actual = multiclass_nms(boxes, scores[:, :-1], score_thr, 0.5, max_per_img)
    assert torch.equal(torch.cat([actual[0], actual[1][:, None]], dim=1), dets)
    assert torch.equal(actual[2], labels)


def test_chain_of_suppressions_is_greedy():
    # Each box overlaps its neighbours only: the second goes, so the third stays, and so on.
    left = torch.arange(9.0, dtype=torch.float64)
    boxes = torch.stack([left, left * 0, left + 3, left * 0 + 1], dim=1)
    kept = suppress(boxes, torch.zeros(9, dtype=torch.long), iou_threshold=0.4)
    assert kept.tolist() == [0, 2, 4, 6, 8]


def test_large_coordinates_of_many_classes_keep_their_precision():
    # An offset per class would round 0.0625 pixels away and let the boxes of the last class differ.
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 19.9375]]).repeat(1, 1)
    scores = torch.zeros(2, 13204)
    scores[:, -1] = torch.tensor([0.9, 0.8])
    # Overlap 100 / 199.375 = 0.50157.
    for iou_threshold, expected in ((0.5015, 1), (0.5016, 2)):
        assert len(multiclass_nms(boxes, scores, 0.0, iou_threshold)[0]) == expected


def test_not_a_number_is_no_candidate():
    scores = torch.tensor([[math.nan, 0.5], [0.4, math.nan]])
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 2)
    assert multiclass_nms(boxes, scores, 0.0, 0.5)[1].tolist() == [0.5, pytest.approx(0.4)]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('max_pairs', [0, 2**22])
def test_large_boxes_in_half_precision_suppress_each_other(dtype, max_pairs, monkeypatch):
    monkeypatch.setattr(module, 'MAX_PAIRS', max_pairs)
    boxes = torch.tensor([[0, 0, 400, 304], [0, 0, 400, 304], [2, 0, 402, 304]], dtype=dtype)
    scores = torch.tensor([[0.5], [0.75], [0.25]], dtype=dtype)
    kept, kept_scores, _, rows = multiclass_nms(boxes, scores, 0.0, 0.5)
    assert rows.tolist() == [1] and kept.dtype == kept_scores.dtype == dtype
