from dataclasses import replace

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation import Detections
from bacl.evaluation.matching import EncodedMasks
from bacl.report.results.matches import check_same_data, match_coco_lt, match_lvis
from hypothesis import given, settings
from hypothesis import strategies as st

ANNOTATIONS = {
    'images': [{'id': 7, 'neg_category_ids': [2, 77], 'not_exhaustive_category_ids': []},
               {'id': 3, 'neg_category_ids': [], 'not_exhaustive_category_ids': [1]}],
    'categories': [{'id': 2, 'name': 'dog', 'frequency': 'f'},
                   {'id': 1, 'name': 'cat', 'frequency': 'r'}],
    'annotations': [
        {'image_id': 7, 'category_id': 1, 'bbox': [0, 0, 10, 10], 'area': 100},
        {'image_id': 3, 'category_id': 1, 'bbox': [0, 0, 10, 10], 'area': 100}]}
DETECTIONS = [
    (7, 1, 0.5, (0, 0, 10, 10)),   # right
    (7, 1, 0.9, (0, 0, 10, 8)),    # has its object up to IoU 0.8
    (7, 2, 0.6, (0, 0, 10, 10)),   # a dog, known not to be there
    (3, 2, 0.7, (0, 0, 10, 10)),   # nobody looked for dogs here
    (3, 1, 0.7, (50, 50, 9, 9)),   # there may be more cats than annotated
]


def test_matches_by_hand(detections_of):
    matches = match_lvis(ANNOTATIONS, detections_of(DETECTIONS), max_dets=2)
    assert matches.image_ids.tolist() == [3, 7] and matches.class_names == ('cat', 'dog')
    assert matches.groups.tolist() == ['r', 'f']
    assert matches.index.tolist() == [1, 4, 0, 2]  # cats by score, then the dog
    assert matches.image.tolist() == [1, 0, 1, 1] and matches.label.tolist() == [0, 0, 0, 1]
    assert matches.rank.tolist() == [0, 1, 2, 1]  # the unknown dog has its rank in image 3
    assert matches.pair_rank.tolist() == [0, 0, 1, 0]
    assert matches.is_counted.tolist() == [True, True, False, True]
    assert matches.object.tolist() == [0, -1, -1, -1] and matches.iou.tolist() == [0.8, 0, 0, 0]
    tp = np.zeros((4, 10), dtype=bool)
    tp[0, :7], tp[2, 7:] = True, True  # at 0.85 and above the exact one gets the object
    np.testing.assert_array_equal(matches.tp, tp)
    np.testing.assert_array_equal(matches.ignored.all(1), [False, True, False, False])
    assert not matches.ignored[[0, 2, 3]].any()
    assert matches.num_objects().tolist() == [2, 0] and matches.max_dets_in_file == 3
    # (image 3, cat), (image 7, cat), (image 7, dog)
    assert matches.labelled.tolist() == [0, 2, 3]


def test_coco_lt_labels_every_class_everywhere(detections_of):
    matches = match_coco_lt(ANNOTATIONS, detections_of(DETECTIONS), ['4', '1'], '1234', 1)
    assert len(matches) == 5 and not matches.ignored.any() and matches.labelled is None
    assert matches.groups.tolist() == ['1', '4']  # by category id
    assert matches.is_counted.tolist() == (matches.pair_rank < 1).tolist()


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_invariants(draw_data, seed):
    annotations, detections = draw_data(seed)
    matches = match_lvis(annotations, detections)
    assert not (matches.tp & matches.ignored).any()
    key = list(zip(matches.label, -matches.score, matches.image, matches.index, strict=True))
    assert key == sorted(key)
    has_object = matches.object >= 0
    assert ((matches.iou >= 0.5) == has_object).all()
    found = matches.objects
    assert (found.image[matches.object[has_object]] == matches.image[has_object]).all()
    assert (found.label[matches.object[has_object]] == matches.label[has_object]).all()
    regular = matches.object[matches.tp[:, 0]]
    assert len(set(regular.tolist())) == len(regular)
    for name, of in (('rank', matches.image), ('pair_rank', matches.image * 100 + matches.label)):
        before = getattr(matches, name)
        for value in np.unique(of):
            rows = np.flatnonzero(of == value)
            order = rows[np.lexsort((matches.index[rows], -matches.score[rows]))]
            assert (np.diff(before[order]) > 0).all()
    # Dropping what is ranked lower leaves the matches of the rest alone.
    fewer = match_lvis(annotations, detections[detections.top_scoring_per_image(9)])
    np.testing.assert_array_equal(fewer.tp, matches.tp[matches.rank < 9])
    np.testing.assert_array_equal(fewer.ignored, matches.ignored[matches.rank < 9])


def test_bad_arguments_are_refused(detections_of):
    detections = detections_of(DETECTIONS)
    with pytest.raises(ValueError, match='expects a positive int, got 0'):
        match_lvis(ANNOTATIONS, detections, 0)
    with pytest.raises(ValueError, match='1 unknown: 99'):
        match_lvis(ANNOTATIONS, detections_of([(7, 99, 0.5, (0, 0, 1, 1))]))
    with pytest.raises(ValueError, match='one group for each of the 2 categories, got 1'):
        match_coco_lt(ANNOTATIONS, detections, ['1'], '1234')
    masks = Detections(*(np.empty(0, np.int64),) * 2, *(np.empty(0),) * 2,
                       EncodedMasks.from_rles([]))
    with pytest.raises(ValueError, match='expects boxes, got masks'):
        match_lvis(ANNOTATIONS, masks)


def test_runs_on_different_data_are_refused(detections_of):
    one = match_lvis(ANNOTATIONS, detections_of(DETECTIONS))
    check_same_data({'a': one, 'b': match_lvis(ANNOTATIONS, detections_of(DETECTIONS[:1]))})
    for what, other in (
            ('images', replace(one, image_ids=one.image_ids + 1)),
            ('categories', replace(one, category_ids=one.category_ids + 1)),
            ('categories', replace(one, class_names=('cat', 'cow'))),
            ('groups of classes', replace(one, groups=one.groups[::-1])),
            ('annotated objects', replace(one, objects=replace(
                one.objects, box=one.objects.box + 1))),
            ('caps', replace(one, max_dets=7))):
        with pytest.raises(ValueError, match=f"'a' and 'b' cannot be compared: their {what}"):
            check_same_data({'a': one, 'b': other})
