import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.report.results import box_pairs
from bacl.report.results.box_pairs import box_iou, iterate_pairs
from hypothesis import given, settings
from hypothesis import strategies as st


def slow_iou(a, b, is_crowd):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.
    common = width * height
    return common / (a[2] * a[3] + (0 if is_crowd else b[2] * b[3] - common))


@given(st.integers(0, 10**6), st.sampled_from([1, 7, 1 << 20]))
@settings(max_examples=40, deadline=None)
def test_all_pairs_of_equal_keys_in_order_whatever_the_part_size(seed, at_once):
    rng = np.random.default_rng(seed)
    boxes, object_boxes = (rng.integers(0, 6, (n, 4)).astype(float) for n in rng.integers(0, 9, 2))
    keys, object_keys = rng.integers(0, 3, len(boxes)), rng.integers(0, 3, len(object_boxes))
    is_crowd = rng.random(len(object_boxes)) < 0.3
    expected = [(d, o, slow_iou(boxes[d], object_boxes[o], is_crowd[o]))
                for d in range(len(boxes)) for o in range(len(object_boxes))
                if keys[d] == object_keys[o]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(box_pairs, '_PAIRS_AT_ONCE', at_once)
        parts = list(iterate_pairs(boxes, keys, object_boxes, object_keys, is_crowd))
    got = [row for part in parts for row in zip(*(column.tolist() for column in part),
                                                strict=True)]
    assert got == expected
    for one, other in zip(parts[:-1], parts[1:], strict=True):
        assert one[0][-1] < other[0][0]  # the pairs of a detection stay together


def test_iou_of_a_crowd_is_the_share_of_the_detection():
    box, around = np.array([[2., 2., 2., 2.]]), np.array([[0., 0., 3., 10.]])
    assert box_iou(box, around, np.array([True])) == [0.5]
    assert box_iou(box, around, np.array([False])) == [2 / 32]
