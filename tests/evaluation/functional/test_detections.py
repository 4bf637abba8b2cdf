import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation import Detections
from bacl.evaluation.functional import detections as detections_module
from faster_coco_eval import mask as mask_utils
from hypothesis import given
from hypothesis import strategies as st


def records(pairs):
    """Detections of (image, score), told apart by their x."""
    return [{'image_id': image, 'category_id': 1, 'score': score, 'bbox': [x, 0, 2, 3]}
            for x, (image, score) in enumerate(pairs)]


def rle(height):
    mask = np.zeros((8, 8), dtype=np.uint8, order='F')
    mask[:height, :2] = 1
    return mask_utils.encode(mask)


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from([0.1, 0.5, 0.9]))), st.integers(1, 4))
def test_cap_equals_a_stable_sort_of_each_image(pairs, max_dets):
    detections = Detections.from_records(records(pairs))
    kept = detections[detections.top_scoring_per_image(max_dets)]
    expected = []
    for image in sorted({image for image, _ in pairs}):
        here = [(score, x) for x, (i, score) in enumerate(pairs) if i == image]
        here.sort(key=lambda entry: entry[0], reverse=True)
        expected += [x for _, x in here[:max_dets]]
    assert kept.region[:, 0].tolist() == expected


def test_area_is_that_of_the_box_where_there_is_one():
    with_box = {**records([(1, 0.5)])[0], 'segmentation': rle(5)}
    without = {key: value for key, value in with_box.items() if key != 'bbox'}
    assert Detections.from_records([with_box], 'bbox').area.tolist() == [6]
    assert Detections.from_records([with_box], 'segm').area.tolist() == [6]
    assert Detections.from_records([without, without], 'segm').area.tolist() == [10, 10]


def test_selected_masks_stay_with_their_scores():
    detections = Detections.from_records(
        [{'image_id': 1, 'category_id': 1, 'score': s, 'segmentation': rle(n)}
         for s, n in ((0.1, 1), (0.3, 3), (0.2, 2))], 'segm')
    detections = detections[detections.top_scoring_per_image(2)]
    assert detections.score.tolist() == [0.3, 0.2]
    assert [mask_utils.area([mask])[0] for mask in detections.region] == [6, 4]


@pytest.mark.parametrize('segmentation',
                         [[[0, 0, 5, 0, 5, 5]], {'size': [8, 8], 'counts': [1, 63]}])
def test_only_compressed_masks_are_taken(segmentation):
    record = {'image_id': 1, 'category_id': 1, 'score': 0.5, 'segmentation': segmentation}
    with pytest.raises(ValueError, match='compressed run-length'):
        Detections.from_records([record], 'segm')


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_records_may_be_generated_and_come_back(monkeypatch, iou_type):
    monkeypatch.setattr(detections_module, '_BATCH', 3)
    given = [{**record, 'segmentation': {**rle(x + 1), 'counts': rle(x + 1)['counts'].decode()}}
             for x, record in enumerate(records([(1, 0.5), (2, 0.25), (1, 0.75), (3, 1.0)]))]
    if iou_type == 'bbox':
        for record in given:
            del record['segmentation']
    detections = Detections.from_records((record for record in given), iou_type)
    boxes = np.array([record['bbox'] for record in given])
    assert list(detections.records(boxes)) == given
    without = [{k: v for k, v in record.items() if k != 'bbox'} for record in given]
    assert list(detections.records()) == without


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_no_records_are_no_detections(iou_type):
    detections = Detections.from_records([], iou_type)
    assert len(detections) == 0 and len(detections.region) == 0
    assert list(detections.records()) == []


def test_record_without_a_field_is_named_by_its_place_among_all(monkeypatch):
    monkeypatch.setattr(detections_module, '_BATCH', 2)
    given = records([(1, 0.5)] * 5)
    del given[3]['score']
    with pytest.raises(ValueError, match="number 3 of its 'records' has no 'score'"):
        Detections.from_records(given)


def test_columns_of_other_lengths_are_refused():
    ids = np.zeros(2, dtype=np.int64)
    with pytest.raises(ValueError, match="'score': 3"):
        Detections(ids, ids, np.zeros(3), np.zeros(2), np.zeros((2, 4)))
