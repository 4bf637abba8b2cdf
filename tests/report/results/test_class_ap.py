import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation import evaluate_detections
from bacl.report.results.class_ap import class_ap_frame
from bacl.report.results.matches import match_lvis


def test_class_ap_is_that_of_the_evaluation(draw_data):
    annotations, detections = draw_data(3)
    expected = evaluate_detections(annotations, detections)
    matches = match_lvis(annotations, detections)
    frame = class_ap_frame(matches, np.array([5, 9, 5, 0, 1]), np.array([6, 9, 7, 0, 1]))
    np.testing.assert_allclose(frame['ap'], expected.class_ap(), atol=1e-9)
    np.testing.assert_allclose(frame['ap50'], expected.class_ap(iou=0.5), atol=1e-9)
    assert frame['rank'].tolist() == [2, 0, 1, 4, 3]
    assert frame['name'].tolist() == [f'thing {i}' for i in frame['category_id']]


def test_counts_of_another_data_set_are_refused(draw_data):
    with pytest.raises(ValueError, match='image_count=.* each of the 5 classes, got 2'):
        class_ap_frame(match_lvis(*draw_data(3)), [1, 2], [1, 2])
