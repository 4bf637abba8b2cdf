import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation import evaluate_coco_lt_detections, evaluate_detections
from bacl.evaluation.functional.grouped_result import IOU_THRS
from bacl.report.results.average_precision import (
    AveragePrecision,
    average_precision,
    group_averages,
)
from bacl.report.results.matches import match_coco_lt, match_lvis
from hypothesis import given, settings
from hypothesis import strategies as st

SEEDS = st.integers(0, 10**6)


def assert_ap(ours, result):
    for threshold, iou in enumerate(IOU_THRS):
        np.testing.assert_allclose(ours[threshold], result.class_ap(iou=iou), atol=1e-9, rtol=0)
    np.testing.assert_allclose(ours.mean(0), result.class_ap(), atol=1e-9, rtol=0)


@given(SEEDS, st.sampled_from([1, 5, 30, 1000]))
@settings(max_examples=40, deadline=None)
def test_is_that_of_the_lvis_evaluation_at_every_cap(draw_data, seed, max_dets):
    annotations, detections = draw_data(seed)
    expected = evaluate_detections(annotations, detections, max_dets=max_dets, num_workers=0)
    assert_ap(average_precision(match_lvis(annotations, detections, max_dets)), expected)
    # A cap is a filter of matches made without one.
    matches = match_lvis(annotations, detections, 10**6)
    assert_ap(average_precision(matches, matches.rank < max_dets), expected)


@given(SEEDS, st.sampled_from([1, 5, 100]))
@settings(max_examples=40, deadline=None)
def test_is_that_of_the_coco_lt_evaluation(draw_data, seed, max_dets):
    annotations, detections = draw_data(seed)
    groups = ['1', '2', '3', '4', '4']
    expected = evaluate_coco_lt_detections(annotations, detections, groups, '1234',
                                           max_dets=max_dets, num_workers=0)
    matches = match_coco_lt(annotations, detections, groups, '1234', max_dets)
    assert_ap(average_precision(matches), expected)
    assert group_averages(average_precision(matches).mean(0), matches)['3'] == pytest.approx(
        expected.summary()['AP3'], abs=1e-9, nan_ok=True)


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_a_weight_is_a_number_of_equal_images(draw_data, seed):
    annotations, detections = draw_data(seed)
    weights = np.random.default_rng(seed).integers(0, 4, len(annotations['images']))
    copies = {'images': [], 'annotations': [], 'categories': annotations['categories']}
    rows, image_ids = [], []
    for image, weight in zip(sorted(annotations['images'], key=lambda i: i['id']), weights,
                             strict=True):
        here = np.flatnonzero(detections.image_id == image['id'])
        for copy in range(weight):
            new = image['id'] * 10 + copy
            copies['images'].append({**image, 'id': new})
            copies['annotations'] += [{**a, 'image_id': new} for a in annotations['annotations']
                                      if a['image_id'] == image['id']]
            rows.append(here)
            image_ids.append(np.full(len(here), new))
    if not rows:
        return
    copied = detections[np.concatenate(rows)]
    copied.image_id[:] = np.concatenate(image_ids)
    # Different scores, so that the copies of a detection follow each other in the ranking.
    detections.score[:] = np.random.default_rng(seed).permutation(len(detections)) + 1
    copied.score[:] = detections.score[np.concatenate(rows)]
    expected = average_precision(match_lvis(copies, copied, 20))
    got = average_precision(match_lvis(annotations, detections, 20), image_weights=weights)
    both = np.stack([np.ones(len(weights)), weights])
    batch = AveragePrecision(match_lvis(annotations, detections, 20))(both)
    np.testing.assert_array_equal(batch[1], got)
    np.testing.assert_allclose(got, expected, atol=1e-9, rtol=0)


def test_no_detections_and_no_objects(draw_data):
    annotations, detections = draw_data(1)
    nothing = detections[np.zeros(len(detections), dtype=bool)]
    ap = average_precision(match_lvis(annotations, nothing))
    num_objects = match_lvis(annotations, nothing).num_objects()
    assert (ap[:, num_objects > 0] == 0).all() and np.isnan(ap[:, num_objects == 0]).all()
    annotations['annotations'] = []
    assert np.isnan(average_precision(match_lvis(annotations, detections))).all()


def test_unknown_iou_is_refused(draw_data):
    with pytest.raises(ValueError, match='expects one of .* got 0.52'):
        average_precision(match_lvis(*draw_data(1)), ious=[0.52])
