"""CroppedMasks does what mmdet's BitmapMasks does, bit by bit."""
import copy
import pickle

import bacl  # noqa: F401
import cv2
import mmcv
import numpy as np
import pytest
import torch
from bacl.datasets.transforms.cropped_masks import CroppedMasks, nearest_neighbours
from hypothesis import given
from hypothesis import strategies as st
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, mask_target
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

sizes = st.tuples(st.integers(1, 24), st.integers(1, 24))  # (h, w)
DIRECTIONS = ['horizontal', 'vertical', 'diagonal']


@st.composite
def bitmaps(draw) -> np.ndarray:
    """(N, H, W) of rectangles with holes: empty, of one pixel, in corners, over everything."""
    height, width = draw(sizes)
    masks = np.zeros((draw(st.integers(0, 4)), height, width), np.uint8)
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    for mask in masks:
        y1, y2 = sorted(rng.integers(0, height + 1, 2))
        x1, x2 = sorted(rng.integers(0, width + 1, 2))
        density = rng.choice([0, 0.1, 0.5, 1])
        mask[y1:y2, x1:x2] = rng.random((y2 - y1, x2 - x1)) < density
        if rng.random() < 0.2:
            mask[rng.integers(height), rng.integers(width)] = 1
    return masks


def both(masks: np.ndarray) -> tuple[CroppedMasks, BitmapMasks]:
    return CroppedMasks(masks, *masks.shape[1:]), BitmapMasks(masks.copy(), *masks.shape[1:])


def assert_same(ours: BitmapMasks, theirs: BitmapMasks) -> None:
    assert (len(ours), ours.height, ours.width) == (len(theirs), theirs.height, theirs.width)
    assert ours.masks.dtype == theirs.masks.dtype == np.uint8
    np.testing.assert_array_equal(ours.masks, theirs.masks)
    if isinstance(ours, CroppedMasks):
        assert_tight(ours)


def assert_tight(masks: CroppedMasks) -> None:
    """No crop has an empty line at a side, none can be written to, empty ones are at (0, 0)."""
    for crop, corner in zip(masks.crops, masks.corners, strict=True):
        assert crop.dtype == np.uint8 and not crop.flags.writeable
        if crop.size:
            assert crop[0].any() and crop[-1].any() and crop[:, 0].any() and crop[:, -1].any()
        else:
            assert crop.shape == (0, 0) and corner == (0, 0)


@given(bitmaps())
def test_full_bitmaps_boxes_and_areas(masks):
    ours, theirs = both(masks)
    assert_same(ours, theirs)
    np.testing.assert_array_equal(ours.areas, theirs.areas)
    assert ours.areas.dtype == np.uint64
    boxes = [m.get_bboxes(HorizontalBoxes).tensor for m in (ours, theirs)]
    assert boxes[0].dtype == boxes[1].dtype and torch.equal(*boxes)
    assert [mask.tolist() for mask in ours] == masks.tolist()
    assert torch.equal(ours.to_tensor(torch.float32, 'cpu'), theirs.to_tensor(torch.float32, 'cpu'))
    assert 'CroppedMasks' in repr(ours)


@given(bitmaps(), sizes)
def test_resize(masks, out_shape):
    ours, theirs = both(masks)
    assert isinstance(ours.resize(out_shape), CroppedMasks)
    assert_same(ours.resize(out_shape), theirs.resize(out_shape))
    assert_same(ours.resize(out_shape, 'bilinear'), theirs.resize(out_shape, 'bilinear'))


@given(bitmaps(), st.floats(0.05, 4), sizes)
def test_rescale(masks, factor, scale):
    ours, theirs = both(masks)
    height, width = masks.shape[1:]
    for target in (factor, scale):
        if min(mmcv.rescale_size((width, height), target)) > 0:
            assert_same(ours.rescale(target), theirs.rescale(target))


@pytest.mark.parametrize('old, new', [
    (480, 1024), (640, 1280), (427, 853), (640, 1599), (333, 1280), (1600, 333), (1280, 1), (1, 7),
    (300, 300), (5000, 1203)])
def test_nearest_neighbours_of_image_sizes(old, new):
    for axis in (0, 1):  # lines and columns of an image of bytes, as masks are resized
        line = np.random.default_rng(0).integers(0, 256, old).astype(np.uint8)
        image = np.broadcast_to(line[:, None] if axis == 0 else line, (old, old)[:2])
        image = np.ascontiguousarray(image[:, :64] if axis == 0 else image[:64])
        size = (64, new) if axis == 0 else (new, 64)
        resized = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST)
        np.testing.assert_array_equal(resized.take(3, 1 - axis), line[nearest_neighbours(old, new)])


@given(bitmaps(), st.sampled_from(DIRECTIONS))
def test_flip(masks, direction):
    ours, theirs = both(masks)
    assert_same(ours.flip(direction), theirs.flip(direction))
    assert_same(ours.flip(direction).flip(direction), theirs)


@given(bitmaps(), st.integers(0, 9), st.integers(0, 9), st.sampled_from([0, 1]))
def test_pad(masks, below, right, value):
    ours, theirs = both(masks)
    shape = (masks.shape[1] + below, masks.shape[2] + right)
    assert_same(ours.pad(shape, value), theirs.pad(shape, value))


def test_pad_to_less_than_the_size_is_refused_as_in_mmdet():
    for masks in both(np.ones((1, 4, 4), np.uint8)):
        with pytest.raises(ValueError, match='reshape'):
            masks.pad((3, 4))


@given(bitmaps(), st.data())
def test_crop(masks, data):
    ours, theirs = both(masks)
    height, width = masks.shape[1:]
    x1, y1 = data.draw(st.integers(-3, width - 1)), data.draw(st.integers(-3, height - 1))
    window = np.array([x1, y1, data.draw(st.integers(max(x1, 0) + 1, width + 5)),
                       data.draw(st.integers(max(y1, 0) + 1, height + 5))])
    before = window.copy()
    assert_same(ours.crop(window), theirs.crop(window))
    assert (window == before).all()


@given(bitmaps(), st.data())
def test_selection_and_concatenation(masks, data):
    ours, theirs = both(masks)
    count = len(masks)
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool)
    for index in (chosen, chosen.nonzero()[0], slice(1, None), np.array([], np.int64)):
        assert_same(ours[index], theirs[index])
    for i in range(count):
        assert_same(ours[i], theirs[i])
    assert_same(CroppedMasks.cat([ours, ours[chosen]]), BitmapMasks.cat([theirs, theirs[chosen]]))


def test_concatenation_of_different_sizes_is_refused():
    with pytest.raises(ValueError, match=r'one height and width, got \[\(2, 3\), \(4, 4\)\]'):
        CroppedMasks.cat([CroppedMasks([], 4, 4), CroppedMasks([], 2, 3)])
    with pytest.raises(ValueError, match='one height and width'):
        CroppedMasks.cat([])


@given(bitmaps(), st.integers(0, 1000))
def test_union_and_hide(masks, seed):
    ours, _ = both(masks)
    np.testing.assert_array_equal(ours.union(), masks.any(0).astype(np.uint8))
    cover = np.random.default_rng(seed).integers(0, 2, masks.shape[1:]).astype(np.uint8)
    height, width = masks.shape[1:]
    assert_same(ours.hide(cover), BitmapMasks(np.where(cover, 0, masks), height, width))
    assert_same(ours, BitmapMasks(masks, height, width))


@given(bitmaps())
def test_copies_and_pickles(masks):
    ours, theirs = both(masks)
    assert_same(copy.deepcopy(ours), theirs)
    sent = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(sent.masks, theirs.masks)
    copied = copy.deepcopy(ours)
    copied.crops.clear()
    assert len(ours.crops) == len(masks)


def test_pickle_is_as_small_as_the_objects():
    masks = np.zeros((10, 500, 500), np.uint8)
    masks[:, 100:110, 100:110] = 1
    assert len(pickle.dumps(CroppedMasks(masks, 500, 500))) < 10_000


@pytest.mark.parametrize('dtype', [bool, np.uint8, np.int64, np.float32])
@pytest.mark.parametrize('order', ['C', 'F'])
def test_types_and_orders_of_memory(dtype, order):
    mask = np.zeros((5, 7), np.uint8)
    mask[1:3, 2:6] = 1
    ours = CroppedMasks([np.array(mask * 3, dtype, order=order)], 5, 7)
    assert_same(ours, BitmapMasks(mask[None], 5, 7))


def test_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r'shape \(4, 4\), got \(4, 5\)'):
        CroppedMasks([np.zeros((4, 5), np.uint8)], 4, 4)


def test_crops_are_copies_that_cannot_be_written_to():
    mask = np.ones((1, 3, 3), np.uint8)
    ours = CroppedMasks(mask, 3, 3)
    mask[:] = 0
    assert ours.areas.tolist() == [9]
    with pytest.raises(ValueError, match='read-only'):
        ours.crops[0][0] = 0


def test_full_bitmaps_cannot_be_replaced():
    # mmdet's CopyPaste does so, and would change nothing.
    with pytest.raises(AttributeError):
        CroppedMasks([], 3, 3).masks = np.zeros((0, 3, 3), np.uint8)


@given(bitmaps(), st.integers(0, 1000))
def test_mask_targets_of_a_mask_head(masks, seed):
    if not len(masks):
        return
    rng = np.random.default_rng(seed)
    corners = torch.from_numpy(rng.uniform(-2, 26, (5, 2, 2)).astype(np.float32)).sort(1).values
    of_object = torch.from_numpy(rng.integers(0, len(masks), 5))
    cfg = ConfigDict(mask_size=7)
    ours, theirs = (
        mask_target([corners.flatten(1)], [of_object], [m], cfg) for m in both(masks))
    assert torch.equal(ours, theirs)


def test_in_instance_data():
    masks = np.zeros((3, 4, 4), np.uint8)
    for i in range(3):
        masks[i, i, i] = 1
    chosen = torch.tensor([True, False, True])
    ours, theirs = (InstanceData(masks=m)[chosen].masks for m in both(masks))
    assert isinstance(ours, CroppedMasks)
    assert_same(ours, theirs)
