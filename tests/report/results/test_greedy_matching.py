import bacl  # noqa: F401
import numpy as np
from bacl.report.results.greedy_matching import match_greedily
from hypothesis import given, settings
from hypothesis import strategies as st


def match_one_by_one(detection, found, iou, num_dets, is_ignored, is_crowd, thresholds):
    matched = np.full((num_dets, len(thresholds)), -1)
    for t, threshold in enumerate(thresholds):
        taken = set()
        for d in range(num_dets):
            best, best_iou = -1, threshold
            pairs = [(o, v) for p, o, v in zip(detection, found, iou, strict=True) if p == d]
            for o, value in sorted(pairs, key=lambda pair: bool(is_ignored[pair[0]])):
                if o in taken and not is_crowd[o]:
                    continue
                if best >= 0 and not is_ignored[best] and is_ignored[o]:
                    break
                if value >= best_iou:
                    best, best_iou = o, value
            matched[d, t] = best
            taken.add(best)
    return matched


@given(st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_is_the_loop_over_detections(seed):
    rng = np.random.default_rng(seed)
    num_dets, num_objects = rng.integers(0, 12, 2)
    keys, object_keys = rng.integers(0, 3, num_dets), rng.integers(0, 3, num_objects)
    is_crowd = rng.random(num_objects) < 0.2
    is_ignored = is_crowd | (rng.random(num_objects) < 0.2)
    thresholds = np.array([0.5, 0.6, 0.9])
    pairs = [(d, o, rng.integers(4, 11) / 10) for d in range(num_dets)
             for o in range(num_objects) if keys[d] == object_keys[o]]
    detection, found, iou = (np.array([pair[i] for pair in pairs], dtype=kind)
                             for i, kind in enumerate((np.int64, np.int64, float)))
    got = match_greedily(detection, found, iou, keys, is_ignored, is_crowd, thresholds)
    np.testing.assert_array_equal(got, match_one_by_one(
        detection, found, iou, num_dets, is_ignored, is_crowd, thresholds))
