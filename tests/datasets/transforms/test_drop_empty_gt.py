import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.datasets.transforms import DropEmptyGT
from mmcv.transforms import Compose
from mmdet.structures.bbox import HorizontalBoxes

CROP_BESIDE_THE_OBJECT = [
    dict(type='RandomCrop', crop_size=(8, 8), allow_negative_crop=True),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1e-2, 1e-2)),
]


def sample(boxes: list, ignored: list | None = None) -> dict:
    results = dict(img=np.zeros((8, 100, 3), np.uint8),
                   gt_bboxes=HorizontalBoxes(np.array(boxes, np.float32).reshape(-1, 4)),
                   gt_bboxes_labels=np.zeros(len(boxes), np.int64))
    if ignored is not None:
        results['gt_ignore_flags'] = np.array(ignored, bool)
    return results


@pytest.fixture
def crops():
    """Twenty crops of an image, about half of them beside its only object."""
    def crop(*further_transforms) -> list:
        np.random.seed(0)
        pipeline = Compose([*CROP_BESIDE_THE_OBJECT, *further_transforms])
        return [pipeline(sample([[0, 0, 40, 8]])) for _ in range(20)]

    return crop


def test_mmdet_passes_on_crops_without_objects(crops):
    # The reason for DropEmptyGT. If this fails, mmdet was repaired and DropEmptyGT can go.
    assert any(results is not None and len(results['gt_bboxes']) == 0 for results in crops())


def test_crops_without_objects_are_dropped_and_others_kept(crops):
    results = crops(dict(type='DropEmptyGT'))
    sizes = {None if r is None else len(r['gt_bboxes']) for r in results}
    assert sizes == {None, 1}


def test_sample_with_objects_is_returned_unchanged():
    results = sample([[0, 0, 4, 4], [1, 1, 9, 9]], ignored=[True, False])
    before = dict(results)
    after = DropEmptyGT()(results)
    assert after is results and after == before


def test_ignored_objects_do_not_count():
    assert DropEmptyGT()(sample([[0, 0, 4, 4], [1, 1, 9, 9]], ignored=[True, True])) is None
