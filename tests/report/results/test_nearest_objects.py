import bacl  # noqa: F401
import numpy as np
from bacl.report.results.box_pairs import box_iou
from bacl.report.results.matches import match_lvis
from bacl.report.results.nearest_objects import nearest_objects
from hypothesis import given, settings
from hypothesis import strategies as st


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_is_the_loop_over_objects(draw_data, seed):
    matches = match_lvis(*draw_data(seed, num_dets=15))
    rows = np.random.default_rng(seed).permutation(len(matches))[:30]
    near, objects = nearest_objects(matches, rows), matches.objects
    for place, row in enumerate(rows):
        best = {True: (-1, 0.), False: (-1, 0.)}
        for number in range(len(objects.label)):
            if objects.is_ignored[number] or objects.image[number] != matches.image[row]:
                continue
            iou = box_iou(matches.box[[row]], objects.box[[number]], np.array([False]))[0]
            is_own = bool(objects.label[number] == matches.label[row])
            if iou > best[is_own][1]:
                best[is_own] = (number, iou)
        assert (near.own[place], near.own_iou[place]) == best[True]
        assert (near.other[place], near.other_iou[place]) == best[False]
