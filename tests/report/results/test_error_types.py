import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.report.results.error_types import ERROR_TYPES, classify_errors, error_types
from bacl.report.results.matches import match_lvis

# Image 1: cats (1) at A and B, a dog (2) at C. Foxes (3) are known to be absent, cows (4) unknown.
A, B, C = (0, 0, 10, 10), (50, 0, 10, 10), (0, 50, 10, 10)
ANNOTATIONS = {
    'images': [{'id': 1, 'neg_category_ids': [3], 'not_exhaustive_category_ids': []}],
    'categories': [{'id': i, 'name': n, 'frequency': f} for i, n, f in
                   ((1, 'cat', 'f'), (2, 'dog', 'r'), (3, 'fox', 'c'), (4, 'cow', 'c'))],
    'annotations': [{'image_id': 1, 'category_id': c, 'bbox': list(box), 'area': 100}
                    for c, box in ((1, A), (1, B), (2, C))]}


def kinds_of(detections_of, detections, annotations=ANNOTATIONS):
    matches = match_lvis(annotations, detections_of([(1, *rest) for rest in detections]))
    wrong, kind, _, is_missed = classify_errors(matches)
    return ({int(matches.index[row]): ERROR_TYPES[k] for row, k in zip(wrong, kind, strict=True)},
            np.flatnonzero(is_missed).tolist())


def test_each_type(detections_of):
    kinds, missed = kinds_of(detections_of, [
        (1, 0.9, A),                    # right
        (1, 0.8, (0, 0, 10, 9)),        # again: duplicate
        (1, 0.7, (50, 0, 10, 4)),       # cat B, badly placed (IoU 0.4): localisation
        (3, 0.6, (0, 50, 10, 9)),       # the dog taken for a fox: classification
        (3, 0.5, (0, 50, 10, 3)),       # and badly placed (IoU 0.3): both
        (3, 0.4, (200, 200, 10, 10)),   # nothing there: background
        (2, 0.3, (0, 50, 10, 0.5)),     # IoU 0.05 with the dog: background
        (4, 0.2, C),                    # a cow: unknown, no error
    ])
    assert kinds == {1: 'duplicate', 2: 'localisation', 3: 'classification', 4: 'both',
                     5: 'background', 6: 'background'}
    assert missed == []  # the dog is misclassified, cat B badly placed


def test_what_only_unknown_or_background_detections_touch_is_missed(detections_of):
    assert kinds_of(detections_of, [(4, 0.9, A), (1, 0.2, (0, 50, 10, 10))]) == (
        {1: 'classification'}, [0, 1])


def test_ignored_objects_and_detections_have_no_type(detections_of):
    annotations = {**ANNOTATIONS,
                   'images': [{**ANNOTATIONS['images'][0], 'not_exhaustive_category_ids': [1]}],
                   'annotations': [dict(ANNOTATIONS['annotations'][0]),
                                   {**ANNOTATIONS['annotations'][2], 'ignore': 1}]}
    kinds, missed = kinds_of(detections_of, [
        (1, 0.9, (200, 0, 10, 10)),  # perhaps a cat that nobody annotated
        (2, 0.8, C),                 # the dog to be ignored
        (3, 0.7, C),                 # a fox there: not taken for that dog
    ], annotations)
    assert kinds == {2: 'background'} and missed == [0]


def gains_of(detections_of, detections):
    frame = error_types(match_lvis(ANNOTATIONS, detections_of([(1, *d) for d in detections])))
    return frame.set_index(['error', 'group'])


def test_gains_by_hand(detections_of):
    # Cats: wrong (0.9), right A (0.8); B missed. AP50 = 51 / 101 * 1/2. Without the background
    # error 51 / 101. With B no longer wanted 1/2. The dog is taken for a fox: mended, its AP is 1.
    frame = gains_of(detections_of, [(1, 0.9, (200, 200, 10, 10)), (1, 0.8, A), (3, 0.7, C)])
    half = 51 / 101 / 2
    assert frame.loc[('background', 'f'), 'gain_ap50'] == pytest.approx(half)
    assert frame.loc[('missed', 'f'), 'gain_ap50'] == pytest.approx(0.5 - half)
    assert frame.loc[('classification', 'r'), 'gain_ap50'] == pytest.approx(1)
    assert frame.loc[('classification', 'all'), 'gain_ap50'] == pytest.approx(0.5)
    assert np.isnan(frame.loc[('background', 'c'), 'gain_ap50'])  # no fox, no cow to be found
    assert frame.loc[('duplicate', 'all'), 'gain_ap50'] == 0
    # Counted where the wrong class is, or, of missed objects, their class.
    assert frame.loc[('classification', 'c'), 'count'] == 1
    assert frame.loc[('classification', 'r'), 'count'] == 0
    assert frame.loc[('missed', 'f'), 'count'] == frame.loc[('missed', 'all'), 'count'] == 1


def test_of_several_errors_on_an_object_the_best_is_mended_and_others_go(detections_of):
    # Two bad places on cat B: the better scored is put right, the other removed.
    frame = gains_of(detections_of, [(1, 0.9, A), (1, 0.8, (50, 0, 10, 4)),
                                     (1, 0.7, (50, 0, 10, 3))])
    assert frame.loc[('localisation', 'f'), 'gain_ap50'] == pytest.approx(1 - 51 / 101)
    # An object that is found gets no second, better right detection: AP of cats stays.
    frame = gains_of(detections_of, [(1, 0.5, (200, 0, 10, 10)), (1, 0.3, A), (3, 0.9, A)])
    assert frame.loc[('classification', 'f'), 'gain_ap50'] == 0


def test_a_class_whose_objects_are_all_missed_has_everything_to_gain(detections_of):
    frame = gains_of(detections_of, [(1, 0.9, A)])
    assert frame.loc[('missed', 'r'), 'gain_ap50'] == 1
    assert frame.loc[('missed', 'all'), 'gain_ap50'] == pytest.approx((1 - 51 / 101 + 1) / 2)


def test_but_nothing_if_it_has_wrong_detections_still(detections_of):
    # The dog is missed; what is taken for one is background, and stays.
    frame = gains_of(detections_of, [(1, 0.9, A), (2, 0.1, (200, 200, 10, 10))])
    assert frame.loc[('missed', 'r'), 'gain_ap50'] == 0
    assert frame.loc[('missed', 'r'), 'count'] == 1
    assert frame.loc[('missed', 'all'), 'gain_ap50'] == pytest.approx((1 - 51 / 101) / 2)


def test_detections_that_do_not_count_leave_it_everything_to_gain(detections_of):
    # Beyond the cap, or of a class that is not exhaustively annotated: not wrong.
    detections = detections_of([(1, 1, 0.9, A), (1, 2, 0.1, (200, 200, 10, 10))])
    partly = {**ANNOTATIONS, 'images': [{**ANNOTATIONS['images'][0],
                                         'not_exhaustive_category_ids': [2]}]}
    for annotations, max_dets in ((ANNOTATIONS, 1), (partly, 300)):
        frame = error_types(match_lvis(annotations, detections, max_dets))
        gain = frame.set_index(['error', 'group']).loc[('missed', 'r'), 'gain_ap50']
        assert gain == 1


def test_below_the_cap_only(detections_of):
    detections = detections_of([(1, 1, 0.9, A), (1, 3, 0.8, B)])
    frame = error_types(match_lvis(ANNOTATIONS, detections, max_dets=1))
    assert frame.loc[frame['error'] == 'classification', 'count'].sum() == 0


def test_no_detections(detections_of):
    frame = gains_of(detections_of, [])
    assert frame.loc[('missed', 'all'), 'count'] == 3
