import copy
import json
import math
import tempfile
from collections import Counter
from pathlib import Path

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation import Detections, evaluate_detections, evaluate_lvis, load_lvis_annotations
from hypothesis import assume, given
from hypothesis import strategies as st


def assert_equal(result, expected):
    assert list(result) == list(expected)
    for name, value in expected.items():
        assert result[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name


# One image, two objects of category 8 (frequent), one of 3 (rare), none of 5 (common). By paper:
#   category 8: scores 0.9 (right), 0.8 (wrong), 0.7 (right). Precision at rank 1, 2, 3 is 1, 1/2,
#   2/3, made monotone 1, 2/3, 2/3; recall 1/2, 1/2, 1. Recalls 0.00 to 0.50 are 51 points with 1,
#   the other 50 have 2/3: AP = (51 + 50 * 2/3) / 101 at each IoU where both are right. The first
#   box is exact. The second covers 79 of 100 pixels in width, IoU 0.79: right at 0.50, ..., 0.75,
#   6 of the 10 thresholds. At the other 4, one of two objects is found: AP = 51 / 101.
#   category 3: found once, exactly: AP 1.
ONE_IMAGE = {
    'images': [{'id': 4, 'height': 100, 'width': 100, 'neg_category_ids': [5],
                'not_exhaustive_category_ids': []}],
    'categories': [{'id': 8, 'frequency': 'f'}, {'id': 3, 'frequency': 'r'},
                   {'id': 5, 'frequency': 'c'}],
    'annotations': [
        {'id': 1, 'image_id': 4, 'category_id': 8, 'bbox': [0, 0, 10, 10], 'area': 100},
        {'id': 2, 'image_id': 4, 'category_id': 8, 'bbox': [50, 50, 100, 10], 'area': 1000},
        {'id': 3, 'image_id': 4, 'category_id': 3, 'bbox': [0, 50, 40, 40], 'area': 1600},
    ],
}
BY_PAPER_8 = (6 * (51 + 50 * 2 / 3) / 101 + 4 * 51 / 101) / 10


def found(category_id, bbox, score, image_id=4):
    return {'image_id': image_id, 'category_id': category_id, 'bbox': bbox, 'score': score}


DETECTIONS = [found(8, [50, 50, 79, 10], 0.7), found(8, [0, 0, 10, 10], 0.9),
              found(8, [0, 80, 10, 10], 0.8), found(3, [0, 50, 40, 40], 0.6)]


def test_ap_is_the_one_computed_by_hand(write_json):
    result = evaluate_lvis(write_json(ONE_IMAGE), DETECTIONS)
    assert result['APr'] == pytest.approx(1, abs=1e-12)
    assert result['APf'] == pytest.approx(BY_PAPER_8, abs=1e-12)
    assert result['AP'] == pytest.approx((1 + BY_PAPER_8) / 2, abs=1e-12)
    assert result['AP50'] == pytest.approx((1 + (51 + 50 * 2 / 3) / 101) / 2, abs=1e-12)
    assert math.isnan(result['APc']) and math.isnan(result['APl'])


def test_cap_counts_detections_of_all_categories_together(write_json):
    # With three places the one of category 3, the lowest, is crowded out.
    result = evaluate_lvis(write_json(ONE_IMAGE), DETECTIONS, max_dets=3)
    assert result['APr'] == 0
    assert result['APf'] == pytest.approx(BY_PAPER_8, abs=1e-12)


def test_detections_of_unlabelled_categories_fill_the_cap_but_are_no_errors(write_json):
    data = copy.deepcopy(ONE_IMAGE)
    data['categories'].append({'id': 9, 'frequency': 'c'})
    records = [found(9, [0, 0, 9, 9], 0.99)] + DETECTIONS
    path = write_json(data)
    assert_equal(evaluate_lvis(path, records), evaluate_lvis(path, DETECTIONS))
    assert_equal(evaluate_lvis(path, records, max_dets=4),
                 evaluate_lvis(path, DETECTIONS, max_dets=3))


def test_equal_scores_keep_their_order_at_the_cap(write_json):
    path = write_json(ONE_IMAGE)
    right, wrong = found(3, [0, 50, 40, 40], 0.5), found(5, [0, 0, 9, 9], 0.5)
    assert evaluate_lvis(path, [right, wrong], max_dets=1)['APr'] == pytest.approx(1)
    assert evaluate_lvis(path, [wrong, right], max_dets=1)['APr'] == 0


def test_objects_with_id_0_can_be_found(write_json):
    data = copy.deepcopy(ONE_IMAGE)
    for index, annotation in enumerate(data['annotations']):
        annotation['id'] = index
    assert_equal(evaluate_lvis(write_json(data), DETECTIONS),
                 evaluate_lvis(write_json(ONE_IMAGE, 'from_1.json'), DETECTIONS))


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
@pytest.mark.parametrize('max_dets', [1, 30, 300])
@pytest.mark.parametrize('seed', range(6))
def test_equals_lvis_api(make_lvis, write_json, evaluate_by_lvis_api, seed, max_dets, iou_type):
    data, records = make_lvis(seed)
    path = write_json(data)
    expected, _ = evaluate_by_lvis_api(path, records, iou_type, max_dets)
    assert 0 < expected['AP'] < 0.9
    assert_equal(evaluate_lvis(path, records, iou_type, max_dets), expected)


def test_mask_areas_decide_sizes_when_records_have_no_box(make_lvis, write_json,
                                                          evaluate_by_lvis_api):
    data, records = make_lvis(3)
    path = write_json(data)
    with_box = evaluate_lvis(path, records, 'segm')
    for record in records:
        del record['bbox']
    expected, _ = evaluate_by_lvis_api(path, records, 'segm')
    assert_equal(evaluate_lvis(path, records, 'segm'), expected)
    assert expected['APm'] != pytest.approx(with_box['APm'], abs=1e-4)


def test_equals_lvis_api_beyond_300_detections_an_image(make_lvis, write_json,
                                                        evaluate_by_lvis_api):
    data, records = make_lvis(4, num_images=4, dets_per_image=400)
    assert max(Counter(record['image_id'] for record in records).values()) > 300
    path = write_json(data)
    expected, _ = evaluate_by_lvis_api(path, records)
    assert_equal(evaluate_lvis(path, records), expected)


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_precision_is_that_of_lvis_api(make_lvis, write_json, evaluate_by_lvis_api, iou_type):
    data, records = make_lvis(5)
    path = write_json(data)
    _, expected = evaluate_by_lvis_api(path, records, iou_type)
    result = evaluate_detections(
        load_lvis_annotations(path, with_masks=True), Detections.from_records(records, iou_type),
        iou_type)
    np.testing.assert_allclose(result.precision, expected, rtol=0, atol=1e-9)
    assert [c['id'] for c in result.categories] == sorted(c['id'] for c in data['categories'])


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
@pytest.mark.parametrize('seed, max_dets_per_class', [(0, 10_000), (1, 30)])
def test_fixed_and_pooled_ap_equal_plain_loops(make_lvis, write_json, evaluate_by_loops, seed,
                                               max_dets_per_class, iou_type):
    data, records = make_lvis(seed, num_images=10)
    expected = evaluate_by_loops(data, records, iou_type, max_dets_per_class)
    assert 0 < expected['fixed_AP'] < 0.9 and 0 < expected['pooled_AP'] < 0.9
    path = write_json(data)
    result = evaluate_lvis(path, records, iou_type, 5, max_dets_per_class)
    assert_equal(result, evaluate_lvis(path, records, iou_type, 5) | expected)


def test_fixed_ap_is_that_of_lvis_api_without_its_cap(make_lvis, write_json, evaluate_by_lvis_api):
    data, records = make_lvis(2)
    path = write_json(data)
    top = [record for category in data['categories']
           for record in sorted((r for r in records if r['category_id'] == category['id']),
                                key=lambda r: -r['score'])[:40]]
    assert len(top) < len(records)
    expected, _ = evaluate_by_lvis_api(path, top, max_dets=10**6)
    result = evaluate_lvis(path, records, max_dets_per_class=40)
    assert_equal({name: result[f'fixed_{name}'] for name in expected}, expected)


def test_a_category_gains_by_loud_scores_unless_ap_is_fixed(make_lvis, write_json):
    data, records = make_lvis(3)
    rare = [c['id'] for c in data['categories'] if c['frequency'] == 'r']
    loud = [dict(r, score=r['score'] + (r['category_id'] in rare)) for r in records]
    path = write_json(data)
    fair, gamed = (evaluate_lvis(path, found, max_dets=10, max_dets_per_class=10_000)
                   for found in (records, loud))
    assert gamed['APr'] > fair['APr'] and gamed['APf'] < fair['APf']
    for name in ('AP', 'APr', 'APc', 'APf'):
        assert gamed[f'fixed_{name}'] == fair[f'fixed_{name}']
    assert gamed['pooled_AP'] < fair['pooled_AP'] - 0.01  # what is loud everywhere is wrong more


def test_equal_scores_keep_their_order_at_the_cap_of_a_class(write_json):
    path = write_json(ONE_IMAGE)
    right, wrong = found(3, [0, 50, 40, 40], 0.5), found(3, [60, 60, 9, 9], 0.5)
    for records, expected in (([right, wrong], 1), ([wrong, right], 0)):
        result = evaluate_lvis(path, records, max_dets_per_class=1)
        assert result['fixed_APr'] == result['pooled_APr'] == pytest.approx(expected)


def exhaustive_of(data):
    """The same annotations, with a label for every category in every image."""
    present = {image['id']: set() for image in data['images']}
    for annotation in data['annotations']:
        present[annotation['image_id']].add(annotation['category_id'])
    ids = [category['id'] for category in data['categories']]
    return dict(data, images=[
        dict(image, not_exhaustive_category_ids=[],
             neg_category_ids=[i for i in ids if i not in present[image['id']]])
        for image in data['images']])


def test_exhaustive_labels_hold_every_error_against_the_detector(make_lvis, write_json):
    data, records = make_lvis(4)
    path, exhaustive = write_json(data), write_json(exhaustive_of(data), 'exhaustive.json')
    result = evaluate_lvis(path, records, exhaustive_ann_file=exhaustive)
    expected = evaluate_lvis(exhaustive, records)
    assert_equal(result, evaluate_lvis(path, records) | {
        f'exhaustive_{name}': value for name, value in expected.items()})
    assert result['exhaustive_AP'] < result['AP']


def drop_negative(data):
    data['images'][3]['neg_category_ids'].pop()


def add_not_exhaustive(data):
    data['images'][3]['not_exhaustive_category_ids'].append(data['categories'][0]['id'])


@pytest.mark.parametrize('change, message', [
    (drop_negative, 'image {image} has 1 categories'),
    (add_not_exhaustive, 'image {image} has 1 categories'),
    (lambda data: data['images'].append(dict(data['images'][0], id=1000)),
     "'images'.*1000 is in one only"),
    (lambda data: data['categories'].reverse(), "'categories'.*another order"),
    (lambda data: data['images'][0].pop('neg_category_ids'), "has no 'neg_category_ids'")])
def test_labels_that_are_not_exhaustive_are_refused(make_lvis, write_json, change, message):
    data, records = make_lvis(4)
    exhaustive = copy.deepcopy(exhaustive_of(data))
    change(exhaustive)
    message = message.format(image=data['images'][3]['id'])
    with pytest.raises(ValueError, match=f'exhaustive.json.*{message}'):
        evaluate_lvis(write_json(data), records,
                      exhaustive_ann_file=write_json(exhaustive, 'exhaustive.json'))


coordinates = st.sampled_from([0, 8, 16, 40, 100])
sides = st.sampled_from([0, 8, 12, 40, 120])
boxes = st.tuples(coordinates, coordinates, sides, sides).map(list)
image_ids, category_ids = st.sampled_from([2, 5, 9]), st.sampled_from([1, 4, 6])
id_lists = st.lists(category_ids, unique=True)
images = st.lists(st.tuples(id_lists, id_lists), min_size=3, max_size=3)
objects = st.lists(st.tuples(image_ids, category_ids, boxes, st.booleans()), min_size=1, max_size=8)
detected = st.lists(st.tuples(image_ids, category_ids, boxes, st.sampled_from([0.2, 0.5, 0.9])),
                    min_size=1, max_size=12)


@given(images, objects, detected, st.integers(1, 5))
def test_equals_lvis_api_on_any_tiny_data_set(evaluate_by_lvis_api, images, objects, detected,
                                              max_dets):
    # Of nothing to find there is no AP, which is refused.
    assume(any(box[2] * box[3] and not ignored for _, _, box, ignored in objects))
    data = {
        'images': [{'id': i, 'height': 300, 'width': 300, 'neg_category_ids': negative,
                    'not_exhaustive_category_ids': partial}
                   for i, (negative, partial) in zip((9, 2, 5), images, strict=True)],
        'categories': [{'id': i, 'frequency': f} for i, f in ((6, 'r'), (1, 'c'), (4, 'f'))],
        'annotations': [{'id': n, 'image_id': i, 'category_id': c, 'bbox': box,
                         'area': box[2] * box[3], 'ignore': int(ignored)}
                        for n, (i, c, box, ignored) in enumerate(objects, start=1)],
    }
    records = [{'image_id': i, 'category_id': c, 'bbox': box, 'score': score}
               for i, c, box, score in detected]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'lvis.json'
        path.write_text(json.dumps(data))
        expected, precision = evaluate_by_lvis_api(path, records, 'bbox', max_dets)
        assert_equal(evaluate_lvis(path, records, max_dets=max_dets), expected)
        result = evaluate_detections(load_lvis_annotations(path), Detections.from_records(records),
                                     max_dets=max_dets)
    np.testing.assert_allclose(result.precision, precision, rtol=0, atol=1e-9)


def test_inputs_stay_as_they_are(make_lvis, write_json, capsys):
    data, records = make_lvis(6)
    before, path = copy.deepcopy(records), write_json(data)
    annotations = load_lvis_annotations(path, with_masks=True)
    for iou_type in ('segm', 'bbox', 'segm'):
        evaluate_detections(annotations, Detections.from_records(records, iou_type), iou_type)
    assert records == before
    assert annotations == json.loads(path.read_text())
    assert capsys.readouterr() == ('', '')


def test_detections_may_come_from_a_file(make_lvis, write_json):
    data, records = make_lvis(7)
    path = write_json(data)
    assert_equal(evaluate_lvis(path, str(write_json(records, 'results.json'))),
                 evaluate_lvis(str(path), records))


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_no_detections_give_0_where_there_are_objects(make_lvis, write_json, iou_type):
    data, _ = make_lvis(8, num_images=40)
    for category in data['categories']:
        category['frequency'] = 'f'
    result = evaluate_lvis(write_json(data), [], iou_type)
    assert math.isnan(result.pop('APr')) and math.isnan(result.pop('APc'))
    assert set(result.values()) == {0}


def test_no_objects_are_refused(write_json):
    with pytest.raises(ValueError, match='lvis.json is refused:(?s:.*)no-ground-truth'):
        evaluate_lvis(write_json(dict(ONE_IMAGE, annotations=[])), DETECTIONS)


@pytest.mark.parametrize(
    'changed, text',
    [({'image_id': 77}, r'image_id .* got 1 unknown: 77\.'),
     ({'category_id': 6}, r'category_id .* got 1 unknown: 6\.'),
     ({'score': float('nan')}, "number 4 .* 'score' nan: a finite")])
def test_impossible_detections_are_named(write_json, changed, text):
    with pytest.raises(ValueError, match=text):
        evaluate_lvis(write_json(ONE_IMAGE), DETECTIONS + [{**DETECTIONS[0], **changed}])


def test_records_without_a_field_are_named(write_json):
    path = write_json(ONE_IMAGE)
    with pytest.raises(ValueError, match="number 1 of its 'records' has no 'score'"):
        evaluate_lvis(path, DETECTIONS[:1] + [{'image_id': 4, 'category_id': 8, 'bbox': [0] * 4}])


@pytest.mark.parametrize('argument, value',
                         [('max_dets', 0), ('max_dets', -1), ('max_dets_per_class', 0),
                          ('iou_type', 'keypoints')])
def test_arguments_out_of_range_are_refused(write_json, argument, value):
    with pytest.raises(ValueError, match=rf'{argument}=.* got {value}'):
        evaluate_lvis(write_json(ONE_IMAGE), DETECTIONS, **{argument: value})


def test_boxes_are_no_masks(write_json):
    annotations = {**ONE_IMAGE, 'annotations': [{**annotation, 'segmentation': [[0, 0, 9, 0, 9, 9]]}
                                                for annotation in ONE_IMAGE['annotations']]}
    annotations = load_lvis_annotations(write_json(annotations), with_masks=True)
    with pytest.raises(ValueError, match='expects masks, as the ground truth has, got boxes'):
        evaluate_detections(annotations, Detections.from_records(DETECTIONS), 'segm')


def test_missing_detections_file_is_named(write_json, tmp_path):
    with pytest.raises(FileNotFoundError, match='none.json'):
        evaluate_lvis(write_json(ONE_IMAGE), tmp_path / 'none.json')
