import copy
import math

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation import (
    Detections,
    evaluate_coco_lt_detections,
    evaluate_coco_lt_fixed,
    load_coco_annotations,
)
from hypothesis import given
from hypothesis import strategies as st


def evaluate(data, records, iou_type='bbox', max_dets=100, groups=None, **kwargs):
    """Evaluate without box in the records of masks, whose own area then decides their size."""
    if iou_type == 'segm':
        records = [{k: v for k, v in record.items() if k != 'bbox'} for record in records]
    groups = groups or ['1'] * len(data['categories'])
    return evaluate_coco_lt_detections(data, Detections.from_records(records, iou_type), groups,
                                       ('1', '2'), iou_type, max_dets, **kwargs)


# One image; category 8 has two objects and a crowd, category 3 one object. By paper:
#   category 8: scores 0.9 (right), 0.8 and 0.75 (in the crowd: not counted), 0.7 (wrong). One of
#   two objects is found without an error before it: precision 1 at the recalls 0.00 to 0.50, 51 of
#   101 points, 0 at the others.
#   category 3: scores 0.6 (wrong), 0.5 (right): precision 1/2 at all recalls.
ONE_IMAGE = {
    'images': [{'id': 4, 'height': 200, 'width': 200}],
    'categories': [{'id': 8, 'name': 'b'}, {'id': 3, 'name': 'a'}, {'id': 5, 'name': 'c'}],
    'annotations': [
        {'id': 1, 'image_id': 4, 'category_id': 8, 'bbox': [0, 0, 10, 10], 'area': 100},
        {'id': 2, 'image_id': 4, 'category_id': 8, 'bbox': [0, 30, 10, 10], 'area': 100},
        {'id': 3, 'image_id': 4, 'category_id': 8, 'bbox': [100, 100, 80, 80], 'area': 6400,
         'iscrowd': 1},
        {'id': 4, 'image_id': 4, 'category_id': 3, 'bbox': [0, 50, 40, 40], 'area': 1600},
    ],
}
DETECTIONS = [
    {'image_id': 4, 'category_id': category_id, 'bbox': bbox, 'score': score}
    for category_id, bbox, score in [
        (8, [0, 0, 10, 10], 0.9), (8, [100, 100, 20, 20], 0.8), (8, [110, 110, 20, 20], 0.75),
        (8, [60, 60, 9, 9], 0.7), (3, [0, 0, 40, 40], 0.6), (3, [0, 50, 40, 40], 0.5)]
]


def test_ap_is_the_one_computed_by_hand():
    summary = evaluate(ONE_IMAGE, DETECTIONS, groups=['2', '1', '1']).summary()
    assert summary['AP2'] == pytest.approx(51 / 101, abs=1e-12)
    assert summary['AP1'] == pytest.approx(0.5, abs=1e-12)
    assert summary['AP'] == pytest.approx((51 / 101 + 0.5) / 2, abs=1e-12)
    assert math.isnan(summary['APl'])  # the only large object is a crowd


def test_groups_belong_to_the_categories_in_the_order_of_the_file():
    result = evaluate(ONE_IMAGE, DETECTIONS, groups=['2', '1', 'x'])
    assert [c['id'] for c in result.categories] == [3, 5, 8]
    assert result.groups == ['1', 'x', '2']


def test_fixed_ap_has_one_cap_on_each_category_over_all_images():
    images = [{'id': i, 'height': 200, 'width': 200} for i in (1, 2)]
    data = dict(ONE_IMAGE, images=images, annotations=[
        {'id': i, 'image_id': i, 'category_id': 8, 'bbox': [0, 0, 10, 10], 'area': 100}
        for i in (1, 2)])
    found = Detections.from_records([
        {'image_id': image, 'category_id': category, 'bbox': box, 'score': score}
        for image, category, box, score in [
            (1, 8, [0, 0, 10, 10], 0.9), (2, 8, [50, 50, 9, 9], 0.8), (2, 8, [0, 0, 10, 10], 0.7),
            (1, 3, [0, 0, 10, 10], 0.95), (2, 3, [0, 0, 10, 10], 0.95)]])
    for cap, expected in ((1, 51 / 101), (2, 51 / 101), (3, (51 + 50 * 2 / 3) / 101)):
        result = evaluate_coco_lt_fixed(data, found, ['1'] * 3, '1', max_dets_per_class=cap)
        assert result.summary()['AP'] == pytest.approx(expected, abs=1e-12)


def test_cap_is_per_image_and_category():
    # With one place for each, category 3 loses its right detection, and no other.
    summary = evaluate(ONE_IMAGE, DETECTIONS, max_dets=1, groups=['2', '1', '1']).summary()
    assert summary['AP2'] == pytest.approx(51 / 101, abs=1e-12) and summary['AP1'] == 0


def test_objects_with_id_0_can_be_found():
    data = copy.deepcopy(ONE_IMAGE)
    for annotation in data['annotations']:
        annotation['id'] -= 1
    np.testing.assert_array_equal(evaluate(data, DETECTIONS).precision,
                                  evaluate(ONE_IMAGE, DETECTIONS).precision)


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
@pytest.mark.parametrize('max_dets', [2, 100])
@pytest.mark.parametrize('seed', range(4))
def test_precision_is_that_of_pycocotools(make_coco, evaluate_by_pycocotools, seed, max_dets,
                                          iou_type):
    data, records = make_coco(seed)
    assert any(annotation['iscrowd'] for annotation in data['annotations'])
    expected = evaluate_by_pycocotools(data, records, iou_type, max_dets)
    assert 0 < np.nanmean(expected) < 0.9
    result = evaluate(data, records, iou_type, max_dets)
    np.testing.assert_allclose(result.precision, expected, rtol=0, atol=1e-9)


coordinates = st.sampled_from([0, 8, 16, 40, 100])
sides = st.sampled_from([8, 12, 40, 120])
boxes = st.tuples(coordinates, coordinates, sides, sides).map(list)
image_ids, category_ids = st.sampled_from([2, 5, 9]), st.sampled_from([1, 4, 6])
objects = st.lists(st.tuples(image_ids, category_ids, boxes, st.integers(0, 1)), min_size=1,
                   max_size=8)
detected = st.lists(st.tuples(image_ids, category_ids, boxes, st.sampled_from([0.2, 0.5, 0.9])),
                    min_size=1, max_size=12)


@given(objects, detected, st.integers(1, 5))
def test_equals_pycocotools_on_any_tiny_data_set(evaluate_by_pycocotools, objects, detected,
                                                 max_dets):
    data = {
        'images': [{'id': i, 'height': 200, 'width': 200} for i in (9, 2, 5)],
        'categories': [{'id': i, 'name': str(i)} for i in (6, 1, 4)],
        'annotations': [
            {'id': index, 'image_id': image_id, 'category_id': category_id, 'bbox': box,
             'area': box[2] * box[3], 'iscrowd': crowd}
            for index, (image_id, category_id, box, crowd) in enumerate(objects, start=1)],
    }
    records = [{'image_id': image_id, 'category_id': category_id, 'bbox': box, 'score': score}
               for image_id, category_id, box, score in detected]
    expected = evaluate_by_pycocotools(data, records, 'bbox', max_dets)
    result = evaluate(data, records, max_dets=max_dets)
    np.testing.assert_allclose(result.precision, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize('changed, text',
                         [({'image_id': 77}, r'image_id .* got 1 unknown: 77\.'),
                          ({'category_id': 6}, r'category_id .* got 1 unknown: 6\.')])
def test_impossible_detections_are_named(changed, text):
    with pytest.raises(ValueError, match=text):
        evaluate(ONE_IMAGE, DETECTIONS + [{**DETECTIONS[0], **changed}])


@pytest.mark.parametrize('argument, value, text', [
    ('max_dets', 0, 'positive int, got 0'), ('max_dets', True, 'positive int, got True'),
    ('max_dets', 1.5, r'positive int, got 1\.5'),
    ('groups', ['1', '2'], 'one group for each of the 3 categories, got 2'),
])
def test_arguments_out_of_range_are_refused(argument, value, text):
    with pytest.raises(ValueError, match=rf'\({argument}=\) expects (a )?{text}'):
        evaluate(ONE_IMAGE, DETECTIONS, **{argument: value})


def test_unknown_kind_of_region_is_refused():
    detections = Detections.from_records(DETECTIONS)
    with pytest.raises(ValueError, match=r"\(iou_type=\) expects one of .*, got keypoints"):
        evaluate_coco_lt_detections(ONE_IMAGE, detections, ['1'] * 3, ('1', ), 'keypoints')


def test_masks_are_read_only_if_needed(make_coco, write_json):
    data, _ = make_coco(0)
    path = write_json(data)
    assert load_coco_annotations(path, with_masks=True) == data
    assert not any('segmentation' in a for a in load_coco_annotations(path)['annotations'])
    del data['annotations'][3]['segmentation']
    with pytest.raises(ValueError, match=r"is not COCO: id 4 .* has no 'segmentation'"):
        load_coco_annotations(write_json(data), with_masks=True)
