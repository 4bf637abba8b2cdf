import numpy as np
import pytest
from bacl.planning.detectors import Anchors
from bacl.planning.geometry import choose_anchors, choose_scale, choose_small_scale, fitting_share

BASE = (1333, 800)
ANCHORS = Anchors((8,), (0.5, 1.0, 2.0), (4, 8, 16, 32, 64))


@pytest.mark.parametrize('long_side, short_side, side, scale, words', [
    (640, 480, 25, BASE, '42 after resizing'),  # LVIS
    (640, 427, 58, BASE, 'after resizing'),  # COCO
    (1920, 1080, 60, BASE, 'after resizing'),
    # Small images are enlarged by 2 at most: 320 x 240 to 640 x 480, in the ratio of the base.
    (320, 240, 40, (800, 480), 'the double'),
    # Small objects in large images: 20 pixels would be 6, and are 16.
    (4000, 3000, 20, (4000, 2400), 'would be 5 pixels'),
    (4000, 3000, 8, (4992, 3008), 'would be 2 pixels'),  # their own size at most
])
def test_images_have_the_size_of_the_base_unless_they_or_their_objects_are_small(
        long_side, short_side, side, scale, words):
    found, why = choose_scale(BASE, long_side, short_side, side)
    assert found == scale
    assert words in why


def test_images_are_no_larger_than_the_memory_allows():
    scale, why = choose_scale(BASE, 4000, 3000, 8, max_pixels=2e6)
    assert 1.8e6 < scale[0] * scale[1] <= 2e6 and 'memory' in why
    # Of the size that it is, not of that which there is no room for.
    assert why.endswith(f'; {8 * min(scale[0] / 4000, scale[1] / 3000):.0f} after resizing')
    assert scale[0] / scale[1] == pytest.approx(BASE[0] / BASE[1], rel=0.05)


@pytest.mark.parametrize('long_side, longest, side, expected', [
    (160, 160, 31, 160), (640, 640, 100, 160), (640, 640, 24, 640), (640, 640, 48, 320),
    (1000, 1000, 10, 640), (100, 100, 10, 160), (300, 310, 20, 320)])
def test_small_detector_sees_objects_of_24_pixels_if_images_have_them(
        long_side, longest, side, expected):
    assert choose_small_scale(160, long_side, longest, side)[0] == expected


def test_share_of_fitting_boxes_by_hand():
    anchors = Anchors((8,), (1.0,), (4,))  # one of 32 x 32
    boxes = np.array([[32, 32], [32, 17], [32, 15], [45, 45], [46, 46], [64, 16]], dtype=float)
    # Overlaps: 1, 17/32, 15/32, (32/45)^2 = 0.506, 0.484, 512/(2 * 1024 - 512) = 1/3.
    assert fitting_share(boxes, anchors) == pytest.approx(3 / 6)
    tall = Anchors((8,), (2.0,), (4,))  # 22.6 wide, 45.3 high
    assert fitting_share(np.array([[22.6, 45.3], [45.3, 22.6]]), tall) == 0.5


@pytest.mark.parametrize('width, height, changed', [
    (np.geomspace(30, 500, 50), np.geomspace(30, 500, 50), {}),
    (np.full(50, 14.), np.full(50, 14.), dict(scales=(4.0,))),
    (np.full(50, 1400.), np.full(50, 1400.), dict(scales=(16,))),
    (np.full(50, 400.), np.full(50, 80.), dict(ratios=(0.25, 0.5, 1.0, 2.0, 4.0))),
    (np.repeat([14., 700.], 25), np.repeat([14., 700.], 25),
     dict(scales=(4.0,), strides=(4, 8, 16, 32, 64, 128))),
])
def test_anchors_change_where_a_quarter_of_the_boxes_gains(width, height, changed):
    anchors, why = choose_anchors(ANCHORS, np.column_stack([width, height]))
    for key in ('scales', 'ratios', 'strides'):
        assert getattr(anchors, key) == changed.get(key, getattr(ANCHORS, key))
    assert ('with those of the base' in why) == bool(changed)
