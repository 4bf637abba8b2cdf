import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation import evaluate_detections
from bacl.report.results.class_ap import class_ap_frame, group_ap_frame
from bacl.report.results.matches import match_lvis


def test_class_and_group_ap_are_those_of_the_evaluation(draw_data):
    annotations, detections = draw_data(3)
    expected = evaluate_detections(annotations, detections, num_workers=0)
    matches = match_lvis(annotations, detections)
    frame = class_ap_frame(matches, np.array([5, 9, 5, 0, 1]), np.array([6, 9, 7, 0, 1]))
    np.testing.assert_allclose(frame['ap'], expected.class_ap(), atol=1e-9)
    np.testing.assert_allclose(frame['ap50'], expected.class_ap(iou=0.5), atol=1e-9)
    assert frame['rank'].tolist() == [2, 0, 1, 4, 3]
    assert frame['name'].tolist() == [f'thing {i}' for i in frame['category_id']]
    groups = group_ap_frame(matches).set_index('group')
    for group, name in (('all', 'AP'), ('r', 'APr'), ('c', 'APc'), ('f', 'APf')):
        assert groups.loc[group, 'ap'] == pytest.approx(expected.summary()[name], nan_ok=True)
    counted = frame[frame['num_objects'] > 0]
    assert groups.loc['all', 'num_classes'] == len(counted)
    assert groups.loc['r', 'num_classes'] == (counted['group'] == 'r').sum()


def test_counts_of_another_data_set_are_refused(draw_data):
    with pytest.raises(ValueError, match='image_count=.* each of the 5 classes, got 2'):
        class_ap_frame(match_lvis(*draw_data(3)), [1, 2], [1, 2])
