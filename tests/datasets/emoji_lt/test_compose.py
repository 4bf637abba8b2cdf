import numpy as np
import pytest
from bacl.datasets.emoji_lt.compose import (
    MIN_VISIBLE,
    compose_scene,
    overlap,
    random_crop,
    warp_drawing,
)
from PIL import Image

RED, GREEN = (255, 0, 0), (0, 255, 0)


def square(side, colour=RED):
    drawing = np.full((side, side, 4), 255, dtype=np.uint8)
    drawing[..., :3] = colour
    return drawing


def black_photograph(side=200):
    return Image.new('RGB', (side, side))


def test_an_unrotated_drawing_of_the_same_size_is_copied():
    drawing = np.random.default_rng(0).integers(0, 256, (6, 8, 4), dtype=np.uint8)
    patch = warp_drawing(drawing, 8, 0)
    alpha = drawing[..., 3:].astype(int)
    np.testing.assert_array_equal(patch[..., 3:], alpha)
    np.testing.assert_array_equal(patch[..., :3], drawing[..., :3] * alpha // 255)


def test_shrinking_averages():
    drawing = square(6)
    drawing[:, 3:] = 0  # the right half is transparent
    patch = warp_drawing(drawing, 2, 0)
    assert patch[..., 3].tolist() == [[255, 0], [255, 0]]
    # Samples at columns 1, 3 and 5: one of three is opaque.
    assert warp_drawing(drawing, 1, 0).tolist() == [[[85, 0, 0, 85]]]


def test_rotation_keeps_the_area_and_needs_a_larger_patch():
    patch = warp_drawing(square(40), 40, 30)
    side = 40 * (np.cos(np.pi / 6) + np.sin(np.pi / 6))
    assert patch.shape[:2] == (np.ceil(side), np.ceil(side))
    assert np.count_nonzero(patch[..., 3] >= 128) == pytest.approx(1600, rel=0.02)


def test_a_patch_at_the_border_is_cut():
    in_image, in_patch = overlap((10, 20), (2.9, 99.0), 100)
    assert in_image == (slice(0, 7), slice(89, 100))
    assert in_patch == (slice(3, 10), slice(0, 11))


def test_masks_show_exactly_what_is_visible():
    # Brightness can only darken a saturated colour, so the channel tells whose pixel it is.
    drawings = [square(72, RED), square(72, GREEN)]
    for seed in range(20):
        image, masks = compose_scene(black_photograph(), drawings, 100, np.random.default_rng(seed))
        assert not (masks[0] & masks[1]).any()
        assert (image[masks[0]].argmax(1) == 0).all() and (image[masks[1]].argmax(1) == 1).all()
        # Beyond the masks there is at most the faint rim of a drawing.
        assert image[~masks.any(0)].max() < 128


def test_occlusion_takes_from_the_object_below_only():
    occluded = 0
    for seed in range(20):
        _, masks = compose_scene(black_photograph(), [square(72), square(72)], 60,
                                 np.random.default_rng(seed))
        below, above = masks.sum((1, 2))
        box_is_full = [mask[np.ix_(mask.any(1), mask.any(0))].mean() for mask in masks]
        occluded += box_is_full[0] < 0.6 < box_is_full[1]
        assert below > 0 and above > 0
    assert occluded > 0


def test_no_object_is_nearly_hidden_even_in_a_crowd():
    rng = np.random.default_rng(1)
    drawings = [square(72)] * 14
    _, masks = compose_scene(black_photograph(), drawings, 100, rng)
    smallest = (100 * 0.125)**2
    assert (masks.sum((1, 2)) >= 0.9 * MIN_VISIBLE * smallest).all()


def test_the_same_rng_gives_the_same_scene():
    scenes = [compose_scene(black_photograph(), [square(30)] * 3, 64, np.random.default_rng(7))
              for _ in range(2)]
    np.testing.assert_array_equal(scenes[0].image, scenes[1].image)
    np.testing.assert_array_equal(scenes[0].masks, scenes[1].masks)


def test_masks_do_not_depend_on_the_photograph():
    masks = [compose_scene(Image.new('RGB', size), [square(30)] * 3, 64,
                           np.random.default_rng(7)).masks for size in ((90, 300), (500, 200))]
    np.testing.assert_array_equal(*masks)


@pytest.mark.parametrize('size', [(300, 100), (30, 50)])
def test_a_crop_is_square_whatever_the_photograph(size):
    crop = random_crop(Image.new('RGB', size, (1, 2, 3)), 64, np.random.default_rng(0))
    assert crop.shape == (64, 64, 3)
    assert (crop == (1, 2, 3)).all()
