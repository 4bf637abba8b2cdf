import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.report.results.confusion import confused_pairs, confused_pairs_of_matrix
from bacl.report.results.matches import match_coco_lt, match_lvis

BOX, OTHER = (0, 0, 10, 10), (50, 0, 10, 10)
# Cats (1) in images 1 to 3; dogs (2) are known to be absent from 1 and 2, nobody looked in 3.
ANNOTATIONS = {
    'images': [{'id': i, 'neg_category_ids': [2] if i < 3 else [],
                'not_exhaustive_category_ids': []} for i in (1, 2, 3)],
    'categories': [{'id': 1, 'name': 'cat', 'frequency': 'f'},
                   {'id': 2, 'name': 'dog', 'frequency': 'r'}],
    'annotations': [{'image_id': i, 'category_id': 1, 'bbox': list(BOX), 'area': 100}
                    for i in (1, 2, 3)]}
DETECTIONS = [
    (1, 1, 0.5, BOX), (1, 2, 0.9, BOX), (1, 2, 0.8, BOX),  # outscored, counted once
    (2, 1, 0.9, BOX), (2, 2, 0.5, BOX),                    # not outscored
    (3, 2, 0.9, BOX),                                      # unknown
    (2, 2, 0.9, OTHER),                                    # on nothing
]


def test_pairs_by_hand(detections_of):
    frame = confused_pairs(match_lvis(ANNOTATIONS, detections_of(DETECTIONS)))
    assert frame.to_dict('records') == [{
        'true': 'cat', 'predicted': 'dog', 'true_group': 'f', 'predicted_group': 'r',
        'num_objects': 2, 'num_outscored': 1, 'num_labelled': 2, 'share_outscored': 0.5,
        'mean_score': pytest.approx(0.7)}]


def test_where_every_class_is_labelled_all_objects_count(detections_of):
    frame = confused_pairs(match_coco_lt(ANNOTATIONS, detections_of(DETECTIONS), 'fr', 'rf'))
    assert frame[['num_objects', 'num_outscored', 'num_labelled']].to_numpy().tolist() == [
        [3, 2, 3]]


def test_number_of_labelled_objects_over_many_images(draw_data, monkeypatch):
    monkeypatch.setattr('bacl.report.results.confusion._IMAGES_AT_ONCE', 3)
    seen = 0
    for seed in range(20):
        matches = match_lvis(*draw_data(seed))
        objects, names = matches.objects, list(matches.class_names)
        for row in confused_pairs(matches).itertuples():
            true, predicted = names.index(row.true), names.index(row.predicted)
            expected = sum(
                label == true and not ignored
                and image * matches.num_classes + predicted in matches.labelled
                for image, label, ignored in zip(objects.image, objects.label, objects.is_ignored,
                                                 strict=True))
            assert row.num_labelled == expected >= row.num_objects >= row.num_outscored
            seen += 1
    assert seen > 10


def test_no_confusion(detections_of):
    assert confused_pairs(match_lvis(ANNOTATIONS, detections_of(DETECTIONS[:1]))).empty
    assert confused_pairs(match_lvis(ANNOTATIONS, detections_of([]))).empty


def test_pairs_of_a_matrix(lvis_classes):
    matrix = np.array([[0.5, 0.3, 0.2], [0.4, 0.6, 0], [0, 0, 0]])
    frame = confused_pairs_of_matrix(matrix, lvis_classes('rcf', ['cat', 'dog', 'fox']))
    assert frame[['true', 'predicted', 'share']].to_numpy().tolist() == [
        ['dog', 'cat', 0.4], ['cat', 'dog', 0.3], ['cat', 'fox', 0.2]]
    assert frame['true_group'].tolist() == ['c', 'r', 'r']
