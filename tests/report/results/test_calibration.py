import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.report.results.calibration import calibration_error, reliability
from bacl.report.results.matches import match_lvis

BOX, AWAY = (0, 0, 10, 10), (50, 50, 10, 10)
ANNOTATIONS = {
    'images': [{'id': i, 'neg_category_ids': [2], 'not_exhaustive_category_ids': []}
               for i in (1, 2)],
    'categories': [{'id': 1, 'name': 'cat', 'frequency': 'f'},
                   {'id': 2, 'name': 'dog', 'frequency': 'r'}],
    'annotations': [{'image_id': i, 'category_id': 1, 'bbox': list(BOX), 'area': 100}
                    for i in (1, 2)]}
# Bins [0, 0.5) and [0.5, 1]: two wrong ones of 0.2 and 0.4; right 0.9, right 0.7, wrong 0.5.
DETECTIONS = [(1, 1, 0.9, BOX), (2, 1, 0.7, BOX), (1, 1, 0.5, AWAY), (1, 1, 0.4, AWAY),
              (2, 2, 0.2, AWAY)]


def test_bins_by_hand(detections_of):
    frame = reliability(match_lvis(ANNOTATIONS, detections_of(DETECTIONS)), 2, 0)
    part = frame[frame['group'] == 'all']
    np.testing.assert_allclose(part['mean_score'], [0.3, 0.7])
    np.testing.assert_allclose(part['precision'], [0, 2 / 3])
    assert part['count'].tolist() == [2, 3]
    rare = frame[frame['group'] == 'r']
    assert rare['count'].tolist() == [1, 0] and np.isnan(rare['precision'].iloc[1])
    errors = calibration_error(frame).set_index('group')
    assert errors.loc['all', 'calibration_error'] == pytest.approx(
        (2 * 0.3 + 3 * (0.7 - 2 / 3)) / 5)
    assert errors.loc['all', 'bias'] == pytest.approx((0.2 + 0.4 + 0.5 + 0.7 + 0.9 - 2) / 5)
    assert np.isnan(errors.loc['c', 'calibration_error']) and errors.loc['c', 'count'] == 0


def test_low_scores_are_left_out_and_high_ones_are_in_the_last_bin(detections_of):
    detections = detections_of([(1, 1, 1.0, BOX), (2, 1, 3.0, BOX), (2, 2, 0.19, AWAY)])
    frame = reliability(match_lvis(ANNOTATIONS, detections), 4, 0.2)
    assert frame.loc[frame['group'] == 'all', 'count'].tolist() == [0, 0, 0, 2]
    assert frame['score_low'].iloc[0] == 0.2 and frame['score_high'].iloc[3] == 1


def test_bad_arguments_are_refused(detections_of):
    matches = match_lvis(ANNOTATIONS, detections_of(DETECTIONS))
    with pytest.raises(ValueError, match='num_bins=.* got 0'):
        reliability(matches, 0)
    with pytest.raises(ValueError, match='min_score=.* got 1'):
        reliability(matches, 5, 1)
