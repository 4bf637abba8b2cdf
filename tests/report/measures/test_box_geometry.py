import bacl  # noqa: F401
import mmcv
import numpy as np
import pytest
import torch
from bacl.report.measures.box_geometry import (
    Pyramid,
    aspect_ratios,
    box_sides,
    pyramid_levels,
    resize_factors,
)
from hypothesis import given
from hypothesis import strategies as st
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

SIDES = st.integers(1, 5000)


@given(st.lists(st.tuples(SIDES, SIDES), min_size=1), st.tuples(SIDES, SIDES))
def test_images_are_resized_as_by_mmcv(sizes, scale):
    factors = resize_factors(np.array(sizes), scale)
    for size, factor in zip(sizes, factors, strict=True):
        new_size = mmcv.rescale_size(size, tuple(scale))
        assert (np.array(size) * factor).round(6).tolist() == list(new_size)


def test_without_a_scale_images_stay_as_they_are():
    assert resize_factors(np.array([[3, 4]]), None).tolist() == [[1, 1]]
    for scale in [(0, 5), (1333, ), (-1, 3)]:
        with pytest.raises(ValueError, match='scale='):
            resize_factors(np.array([[3, 4]]), scale)


@given(st.lists(st.tuples(st.floats(0, 4000), st.floats(0, 4000)), min_size=1),
       st.sampled_from([(56, 4), (28, 3), (56, 1)]))
def test_levels_are_those_of_mmdets_extractor(sizes, extractor):
    finest_scale, num_levels = extractor
    host = SingleRoIExtractor(dict(type='RoIAlign', output_size=7), 8, [4] * num_levels,
                              finest_scale)
    sizes = np.array(sizes, dtype=np.float32)
    rois = torch.zeros(len(sizes), 5)
    rois[:, 3:] = torch.from_numpy(sizes)
    box = np.concatenate([np.zeros_like(sizes), sizes], 1)
    levels = pyramid_levels(box_sides(box), num_levels, finest_scale)
    assert levels.tolist() == host.map_roi_levels(rois, num_levels).tolist()


def test_levels_of_hand_made_boxes():
    side = np.array([0, 56, 111.9, 112, 223.9, 224, 448, 9999])
    assert pyramid_levels(side).tolist() == [0, 0, 0, 1, 1, 2, 3, 3]
    assert Pyramid().borders.tolist() == [112, 224, 448]


def test_boxes_are_measured_in_the_resized_image():
    # Twice as large: a box of 60 x 60 becomes one of 120 x 120, on level 1.
    pyramid = Pyramid((200, 100))
    box, sizes = np.array([[0, 0, 60, 60.], [0, 0, 10, 40]]), np.array([[100, 50], [400, 100]])
    side = pyramid.sides(box, np.array([0, 1]), sizes)
    assert side == pytest.approx([120, 10]) and pyramid.levels(side).tolist() == [1, 0]


def test_boxes_without_area():
    box = np.array([[0, 0, 4, 2.], [0, 0, 0, 2], [0, 0, 4, 0], [0, 0, -4, -4]])
    assert aspect_ratios(box)[0] == 2 and np.isnan(aspect_ratios(box)[1:]).all()
    assert box_sides(box) == pytest.approx([8**.5, 0, 0, 0])
    assert aspect_ratios(box[:0]).shape == (0, )


def test_a_pyramid_without_levels_is_refused():
    with pytest.raises(ValueError, match='strides='):
        Pyramid(strides=())
    with pytest.raises(ValueError, match='finest_scale='):
        Pyramid(finest_scale=0)
