import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.visualization.detection_picture import MarkedBox, _ink, _text, draw_boxes
from bacl.visualization.group_styles import COLOURS, GroupStyles

GROUPS = GroupStyles(LVIS_GROUPS)


def rgb(colour):
    return [int(colour[start:start + 2], 16) for start in (1, 3, 5)]


def has_colour(picture, colour):
    return (picture == rgb(colour)).all(-1)


@pytest.mark.parametrize('height, width, factor', [(40, 64, 10), (480, 640, 1), (300, 400, 2),
                                                   (900, 1600, 1), (6, 3000, 1)])
def test_lines_and_letters_grow_with_the_image(height, width, factor):
    image = np.full((height, width, 3), 7, np.uint8)
    box = (0.25 * width, 0.25 * height, 0.5 * width, 0.5 * height)
    picture = draw_boxes(image, [MarkedBox(box, 'cat', 0.5, 'r')], None)
    assert picture.shape == (factor * height, factor * width, 3)
    assert (image == 7).all(), 'the image itself is not changed'
    side = max(picture.shape)
    in_middle = (picture[:, picture.shape[1] // 2] != 7).any(-1)
    # Two lines with a dark rim and, below a third of the image, no letters.
    thickness = in_middle[int(0.6 * len(in_middle)):].sum()
    if height > 20:
        assert side / 320 <= thickness <= side / 100 + 3


def test_colours_are_those_of_the_groups_and_a_line_below_names_them():
    image = np.zeros((640, 640, 3), np.uint8)
    boxes = [MarkedBox((10, 300, 80, 80), 'a', 0.5, 'f'),
             MarkedBox((300, 300, 80, 80), 'b', 0.4, 'r')]
    picture = draw_boxes(image, boxes, GROUPS)
    assert picture.shape[0] > 640 and picture.shape[1] == 640
    for colour, is_used in zip(COLOURS, (True, False, True), strict=False):
        assert has_colour(picture[:640], colour).any() == is_used
        assert has_colour(picture[640:], colour).any()
    assert has_colour(picture[:640, :200], COLOURS[2]).any()
    assert not has_colour(draw_boxes(image, boxes), COLOURS[2]).any()


def test_higher_scores_are_on_top():
    box = (100, 300, 200, 200)
    for scores, top in (((0.9, 0.1), 0), ((0.1, 0.9), 2)):
        picture = draw_boxes(np.zeros((640, 640, 3), np.uint8), [
            MarkedBox(box, 'a', scores[0], 'r'), MarkedBox(box, 'b', scores[1], 'f')], GROUPS)
        assert has_colour(picture[400, 95:110], COLOURS[top]).any()
        assert not has_colour(picture[400, 95:110], COLOURS[2 - top]).any()


@pytest.mark.parametrize('box', [(-50, -50, 5000, 5000), (630, 630, 0, 0), (0, 0, 0.4, 0.4)])
def test_boxes_at_the_edge_or_beyond_are_drawn(box):
    draw_boxes(np.zeros((640, 640, 3), np.uint8), [MarkedBox(box, '', 0.5, 'c')], GROUPS)


def test_no_boxes_leave_the_image_as_it_is():
    image = np.random.default_rng(0).integers(0, 255, (700, 640, 3), dtype=np.uint8)
    np.testing.assert_array_equal(draw_boxes(image, []), image)


def test_many_groups_have_several_lines():
    one = draw_boxes(np.zeros((640, 640, 3), np.uint8), [], GROUPS).shape[0] - 640
    many = GroupStyles([group._replace(key=str(n), label=f'{n}0,000 to {n}9,999')
                        for n, group in enumerate(LVIS_GROUPS * 4)])
    assert draw_boxes(np.zeros((640, 640, 3), np.uint8), [], many).shape[0] - 640 >= 2 * one


@pytest.mark.parametrize('name, text', [
    ('cat', 'cat 0.50'), ('γάτα', 'γάτα 0.50'), ('猫', 'class 7 0.50'),
    ('a' * 30, f'{"a" * 23}… 0.50')])
def test_a_name_is_cut_or_replaced_if_it_cannot_be_written(name, text):
    assert _text(MarkedBox((0, 0, 1, 1), name, 0.5, number=7)) == text


def test_letters_are_read_on_every_colour():
    assert {_ink(colour) for colour in ('#ffffff', '#E69F00')} == {'black'}
    assert {_ink(colour) for colour in ('#000000', '#0072B2')} == {'white'}
