import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation.functional.ground_truth import GroundTruth
from faster_coco_eval import mask as mask_utils

POLYGONS = [[1, 1, 9, 1, 9, 9, 1, 9], [12, 3, 18, 3, 18, 6]]


def annotation(index, **kwargs):
    return {'id': 0, 'image_id': index + 5, 'category_id': 3, 'bbox': [index, 0, 2, 3], 'area': 6,
            **kwargs}


def test_lvis_has_no_crowds_and_no_objects_without_area():
    annotations = [annotation(0, iscrowd=1), annotation(1, area=0), annotation(2, area=-1),
                   annotation(3, ignore=1), annotation(4, ignore=0)]
    found = GroundTruth.from_lvis(annotations, {}, 'bbox')
    assert found.image_id.tolist() == [5, 8, 9]
    assert found.area.tolist() == [6, -1, 6]
    assert found.is_crowd.tolist() == [False] * 3
    assert found.region.tolist() == [[0, 0, 2, 3], [3, 0, 2, 3], [4, 0, 2, 3]]
    assert found[np.array([2, 0])].image_id.tolist() == [9, 5]


def test_coco_has_crowds_and_keeps_all_objects():
    annotations = [annotation(0, iscrowd=1), annotation(1, area=0), annotation(2, ignore=1)]
    found = GroundTruth.from_coco(annotations, {}, 'bbox')
    assert found.area.tolist() == [6, 0, 6]
    assert found.is_crowd.tolist() == [True, False, False]


def test_masks_of_all_kinds_are_encoded():
    rle = mask_utils.merge(mask_utils.frPyObjects(POLYGONS, 20, 30))
    pixels = mask_utils.decode(rle).ravel(order='F')
    borders = np.flatnonzero(np.diff(pixels, prepend=0, append=1 - pixels[-1]))
    lengths = {'size': [20, 30], 'counts': np.diff(borders, prepend=0).tolist()}
    text = {'size': [20, 30], 'counts': rle['counts'].decode()}
    annotations = [annotation(i, segmentation=segmentation)
                   for i, segmentation in enumerate([POLYGONS, lengths, text])]
    images = {5 + i: {'height': 20, 'width': 30} for i in range(3)}
    for convert in (GroundTruth.from_lvis, GroundTruth.from_coco):
        masks = list(convert(annotations, images, 'segm').region)
        assert masks == [{'size': [20, 30], 'counts': rle['counts']}] * 3


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_there_may_be_none(iou_type):
    found = GroundTruth.from_lvis([], {}, iou_type)
    assert len(found.area) == len(found.region) == 0
