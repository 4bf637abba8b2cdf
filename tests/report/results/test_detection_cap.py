import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation import evaluate_detections, evaluate_fixed
from bacl.report.results.detection_cap import ap_by_cap, fixed_ap
from bacl.report.results.matches import match_lvis


def test_ap_at_each_cap_is_that_of_the_evaluation(draw_data):
    annotations, detections = draw_data(5)
    matches = match_lvis(annotations, detections, max_dets=7)
    frame = ap_by_cap(matches, caps=(20, 5, 5, 1000))
    assert frame['cap'].unique().tolist() == [5, 20, matches.max_dets_in_file]
    assert frame.groupby('cap')['is_all'].first().tolist() == [False, False, True]
    for cap, part in frame.groupby('cap'):
        expected = evaluate_detections(annotations, detections, max_dets=cap).summary()
        for group, name in (('all', 'AP'), ('r', 'APr'), ('c', 'APc'), ('f', 'APf')):
            ap = part.set_index('group').loc[group, 'ap']
            assert ap == pytest.approx(expected[name], abs=1e-9, nan_ok=True)


def test_fixed_ap_stands_beside_ap(draw_data):
    annotations, detections = draw_data(5)
    capped = evaluate_detections(annotations, detections, max_dets=2)
    fixed = evaluate_fixed(annotations, detections, max_dets_per_class=30)
    frame = fixed_ap(capped, fixed, 80)
    assert frame['group'].tolist() == ['all', 'r', 'c', 'f']
    for column, result in (('ap', capped), ('fixed_ap', fixed)):
        np.testing.assert_equal(frame[column].tolist(), [
            result.summary()[name] for name in ('AP', 'APr', 'APc', 'APf')])
    assert frame.loc[0, 'fixed_ap'] > frame.loc[0, 'ap']
    assert (frame['max_dets_in_file'] == 80).all()
