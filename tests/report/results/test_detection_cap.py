import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation import evaluate_detections
from bacl.report.results.detection_cap import ap_by_cap, fixed_ap
from bacl.report.results.matches import match_lvis


def test_ap_at_each_cap_is_that_of_the_evaluation(draw_data):
    annotations, detections = draw_data(5)
    matches = match_lvis(annotations, detections, max_dets=7)
    frame = ap_by_cap(matches, caps=(20, 5, 5, 1000))
    assert frame['cap'].unique().tolist() == [5, 20, matches.max_dets_in_file]
    assert frame.groupby('cap')['is_all'].first().tolist() == [False, False, True]
    for cap, part in frame.groupby('cap'):
        expected = evaluate_detections(annotations, detections, max_dets=cap,
                                       num_workers=0).summary()
        for group, name in (('all', 'AP'), ('r', 'APr'), ('c', 'APc'), ('f', 'APf')):
            ap = part.set_index('group').loc[group, 'ap']
            assert ap == pytest.approx(expected[name], abs=1e-9, nan_ok=True)


def test_fixed_ap_keeps_the_highest_scores_of_each_class(draw_data):
    annotations, detections = draw_data(5)
    matches = match_lvis(annotations, detections, max_dets=2)
    # Of equal scores images with lower ids come first, as in the matches.
    distinct = detections.score + detections.image_id * -1e-6 - np.arange(len(detections)) * 1e-9
    kept = np.concatenate([np.flatnonzero(detections.category_id == category)[
        np.argsort(-distinct[detections.category_id == category], kind='stable')][:30]
        for category in np.unique(detections.category_id)])
    expected = evaluate_detections(annotations, detections[np.sort(kept)], max_dets=10**6,
                                   num_workers=0).summary()
    frame = fixed_ap(matches, num_dets=30).set_index('group')
    assert frame.loc['all', 'fixed_ap'] == pytest.approx(expected['AP'], abs=1e-9)
    assert frame.loc['r', 'fixed_ap'] == pytest.approx(expected['APr'], abs=1e-9, nan_ok=True)
    capped = evaluate_detections(annotations, detections, max_dets=2, num_workers=0).summary()
    assert frame.loc['all', 'ap'] == pytest.approx(capped['AP'], abs=1e-9)
    assert (frame['max_dets_in_file'] == matches.max_dets_in_file).all()
