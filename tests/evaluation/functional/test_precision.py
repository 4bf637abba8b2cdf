import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation import Detections
from bacl.evaluation.functional.ground_truth import GroundTruth
from bacl.evaluation.functional.precision import precision_by_category


def truth(category_ids):
    return GroundTruth.from_coco(
        [{'image_id': 1, 'category_id': c, 'bbox': [10 * c, 0, 10, 10], 'area': 100}
         for c in category_ids], {}, 'bbox')


def found(category_ids):
    return Detections.from_records(
        [{'image_id': 1, 'category_id': c, 'bbox': [10 * c, 0, 10, 10], 'score': 0.5}
         for c in category_ids])


def test_each_category_has_its_own_place():
    precision = precision_by_category([2, 5, 7, 9], truth([9, 2, 9]), found([7, 9, 5]), 100)
    # Category 2 is missed, 5 and 7 do not exist, of 9 one of two objects is found.
    assert precision.shape == (10, 101, 4, 4)
    assert (precision[:, :, 0, 0] == 0).all()
    assert np.isnan(precision[:, :, 1:3]).all()
    np.testing.assert_array_equal(precision[:, :, 3, 0], np.tile(np.arange(101) <= 50, (10, 1)))


def test_unmatched_detections_may_be_ignored():
    twice, flags = found([9, 9]), np.array([True, True])
    twice.region[0] += 1000  # the first of equal scores is wrong
    plain = precision_by_category([9], truth([9]), twice, 100)
    assert plain[0, 0, 0, 0] == pytest.approx(0.5)
    assert precision_by_category([9], truth([9]), twice, 100, flags)[0, 0, 0, 0] == \
        pytest.approx(1)


def test_nothing_at_all_gives_nothing():
    assert precision_by_category([], truth([]), found([]), 100).shape == (10, 101, 0, 4)
    assert np.isnan(precision_by_category([3], truth([]), found([3]), 100)).all()


def test_arguments_are_checked():
    with pytest.raises(ValueError, match=r'\(max_dets=\) expects a positive int, got 0\.'):
        precision_by_category([3], truth([3]), found([3]), 0)
    masks = Detections.from_records([], 'segm')
    with pytest.raises(ValueError, match=r'\(detections=\) expects boxes, as .* got masks\.'):
        precision_by_category([3], truth([3]), masks, 100)
