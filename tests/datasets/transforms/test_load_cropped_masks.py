import copy

import bacl  # noqa: F401
import numpy as np
import pycocotools.mask as mask_utils
import pytest
import torch
from bacl.datasets.transforms import CroppedMasks, LoadCroppedMasks
from hypothesis import given
from hypothesis import strategies as st
from mmdet.datasets.transforms import LoadAnnotations

HEIGHT, WIDTH = 24, 31


def sample(*masks, ignored=()) -> dict:
    instances = [
        dict(bbox=[i, 1, i + 2, 5], bbox_label=i % 3, mask=mask, ignore_flag=int(i in ignored))
        for i, mask in enumerate(masks)]
    return dict(ori_shape=(HEIGHT, WIDTH), img_path='a/b.jpg', instances=instances)


def assert_same(results: dict) -> None:
    """Loading ``results`` gives what mmdet gives."""
    ours = LoadCroppedMasks()(copy.deepcopy(results))
    theirs = LoadAnnotations(with_mask=True)(copy.deepcopy(results))
    assert theirs.keys() - ours.keys() == {'instances'} and ours.keys() < theirs.keys()
    assert isinstance(ours['gt_masks'], CroppedMasks)
    assert (ours['gt_masks'].height, ours['gt_masks'].width) == (HEIGHT, WIDTH)
    np.testing.assert_array_equal(ours['gt_masks'].masks, theirs['gt_masks'].masks)
    assert torch.equal(ours['gt_bboxes'].tensor, theirs['gt_bboxes'].tensor)
    for key in ('gt_bboxes_labels', 'gt_ignore_flags'):
        assert ours[key].dtype == theirs[key].dtype
        np.testing.assert_array_equal(ours[key], theirs[key])


def encode(mask: np.ndarray, compressed: bool) -> dict:
    rle = mask_utils.encode(np.asfortranarray(mask))
    if compressed:
        return dict(size=rle['size'], counts=rle['counts'].decode())
    runs, value = [0], 0
    for pixel in mask.ravel(order='F').tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return dict(size=list(mask.shape), counts=runs)


# Coordinates as in annotation files, on pixel borders and centres, and outside the image.
coordinates = st.one_of(
    st.floats(-6, 40).map(lambda x: round(x, 2)), st.integers(-3, 35),
    st.integers(-10, 70).map(lambda x: x / 2), st.integers(-30, 340).map(lambda x: x / 10),
    st.sampled_from([HEIGHT - 0.01, HEIGHT, WIDTH - 0.01, WIDTH, 0.99, 1.09, 1.1, 1.11]))
polygons = st.integers(3, 9).flatmap(
    lambda n: st.lists(coordinates, min_size=2 * n, max_size=2 * n))


@given(st.lists(st.lists(polygons, min_size=1, max_size=3), max_size=4))
def test_polygons_of_one_or_several_parts(masks):
    assert_same(sample(*masks))


@given(st.integers(0, 1000))
def test_polygons_of_many_seeds(seed):
    rng = np.random.default_rng(seed)
    side = rng.choice([1, 3, 12, 30])
    outlines = rng.uniform(-2, 30, (20, 1, 2)) + rng.uniform(0, side, (20, 12, 2))
    assert_same(sample(*([o.round(2).ravel().tolist()] for o in outlines)))


@pytest.mark.parametrize('x', [-20.5, -8, -1, 0, WIDTH - 1, WIDTH, WIDTH + 30.2])
@pytest.mark.parametrize('y', [-20.5, -8, -1, 0, HEIGHT - 1, HEIGHT, HEIGHT + 30.2])
def test_polygons_at_the_border_and_outside(x, y):
    triangle, point = [x, y, x + 6.3, y, x + 6.3, y + 5.1], [x, y] * 3
    line = [x, y, x + 9, y, x + 4, y]
    assert_same(sample([triangle], [point], [line], [triangle, line]))


@pytest.mark.parametrize('compressed', [True, False])
def test_run_length_encodings(compressed):
    masks = np.zeros((4, HEIGHT, WIDTH), np.uint8)
    masks[0, 3:9, 4:20] = 1
    masks[1, -1, -1] = 1
    masks[2] = 1  # masks[3] is empty
    masks[0, 5, 6] = 0
    assert_same(sample(*(encode(mask, compressed) for mask in masks), ignored=[1]))


def test_polygons_and_encodings_together():
    mask = np.eye(HEIGHT, WIDTH, dtype=np.uint8)
    assert_same(sample([[1, 1, 9, 1, 9, 9.5]], encode(mask, True), encode(mask, False)))


def test_image_without_instances():
    assert_same(sample())
    assert len(LoadCroppedMasks()(sample())['gt_masks']) == 0


@pytest.mark.parametrize('mask', [
    [], [[1, 2, 3, 4]], [[1, 2, 3, 4, 5, 6, 7]], dict(size=[HEIGHT, WIDTH]), dict(counts='a')])
def test_invalid_masks_are_ignored(mask):
    valid = [[1, 1, 9, 1, 9, 9.5]]
    assert_same(sample(valid, mask))
    assert LoadCroppedMasks()(sample(valid, mask))['gt_ignore_flags'].tolist() == [False, True]


def test_encoding_of_another_size_is_refused():
    results = sample(encode(np.ones((HEIGHT, WIDTH + 1), np.uint8), True))
    with pytest.raises(ValueError, match='24 x 31, got an RLE of 24 x 32 for a/b.jpg'):
        LoadCroppedMasks()(results)


def test_arguments_of_load_annotations_are_passed_on():
    assert LoadCroppedMasks(box_type=None)(sample())['gt_bboxes'].shape == (0, 4)
    with pytest.raises(TypeError, match='poly2mask'):
        LoadCroppedMasks(poly2mask=False)
