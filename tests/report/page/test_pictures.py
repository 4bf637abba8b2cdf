import io
from base64 import b64decode
from itertools import combinations

import numpy as np
import pytest
from bacl.report.page.pictures import (
    MAX_SIDE,
    THUMBNAIL_SIDE,
    Mark,
    Panel,
    Picture,
    open_image,
    picture_source,
    thumbnail_source,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image


def decoded(source):
    head, _, content = source.partition(',')
    assert head == 'data:image/webp;base64'
    return Image.open(io.BytesIO(b64decode(content)))


def test_a_huge_image_is_made_smaller_and_a_small_one_stays():
    assert decoded(picture_source(Image.new('RGB', (8000, 4000)))).size == (MAX_SIDE, MAX_SIDE // 2)
    assert decoded(picture_source(Image.new('RGB', (40, 30)))).size == (40, 30)


@pytest.mark.parametrize('box', [(10, 10, 20, 10), (-5, -5, 20, 20), (90, 50, 30, 30),
                                 (10, 10, 0, 0), (10.5, 3.2, 0.3, 40)])
def test_an_example_shows_its_object_in_the_middle(box):
    image = Image.new('RGB', (100, 60), 'blue')
    image.paste('red', tuple(round(v) for v in (box[0], box[1], box[0] + max(box[2], 1),
                                                box[1] + max(box[3], 1))))
    example = decoded(thumbnail_source(image, box))
    assert example.size == (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    if min(box[2:]) >= 10 and box[0] >= 0 and box[0] + box[2] <= 100:
        red, _, blue = example.getpixel((THUMBNAIL_SIDE // 2, THUMBNAIL_SIDE // 2))
        assert red > 200 > 60 > blue
        assert np.asarray(example)[2, 2, 2] > 150, 'its surroundings are shown, too'


def test_an_object_longer_than_what_can_be_cut_out_square():
    image = Image.new('RGB', (9000, 40), 'blue')
    image.paste('red', (100, 5, 8900, 35))
    # 13,200 pixels square is more than Pillow lets one cut out.
    pixels = np.asarray(decoded(thumbnail_source(image, (100, 5, 8800, 30))))
    assert pixels.shape == (THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3)
    rows = np.flatnonzero(pixels.max(axis=(1, 2)) > 60)
    assert 34 <= rows.min() and rows.max() <= 37, 'a line in the middle, black around'


@pytest.mark.parametrize('box', [(1e6, 0, 20, 20), (-1e6, -1e6, 20, 20), (0, 1e6, 1e5, 10),
                                 (101, 61, 0, 0)])
def test_a_box_outside_of_the_image_is_black(box):
    example = decoded(thumbnail_source(Image.new('RGB', (100, 60), 'white'), box))
    assert np.asarray(example).max() < 10


@pytest.mark.parametrize('box', [(10, 10, 20, 10), (-5, -5, 20, 20), (90, 50, 30, 30),
                                 (0, 0, 100, 60), (40, -50, 10, 200)])
def test_an_example_agrees_with_cutting_out_a_square(box):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (6, 10, 3), dtype=np.uint8)).resize((100, 60))
    x, y, width, height = box
    side = 1.5 * max(width, height)
    left, top = x + (width - side) / 2, y + (height - side) / 2
    square = image.crop([round(v) for v in (left, top, left + side, top + side)])
    twin = np.asarray(square.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE)), dtype=float)
    example = np.asarray(decoded(thumbnail_source(image, box)), dtype=float)
    assert np.abs(example - twin).mean() < 12, 'but for WebP and parts of pixels'


def test_images_are_rgb_and_faults_are_named(tmp_path):
    Image.new('RGB', (4, 3), (250, 0, 10)).save(tmp_path / 'a.png')
    assert open_image(str(tmp_path / 'a.png')).getpixel((0, 0)) == (250, 0, 10)
    (tmp_path / 'broken.jpg').write_bytes(b'\xff\xd8no')
    with pytest.raises(ValueError, match=r'broken\.jpg .* cannot be decoded'):
        open_image(str(tmp_path / 'broken.jpg'))
    with pytest.raises(FileNotFoundError, match=r'none\.jpg does not exist'):
        open_image(str(tmp_path / 'none.jpg'))


def picture(panel):
    return Picture('p', 'p', '', 280, 200, [panel])


boxes = st.tuples(st.floats(-10, 290), st.floats(-10, 210), st.floats(0, 300), st.floats(0, 300))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(boxes, st.text('ab', max_size=40)), max_size=8))
def test_labels_are_inside_the_image_and_none_is_on_another(marks):
    panel = Panel('', [Mark(box, name, 0, score=0.5) for box, name in marks])
    labels = picture(panel).place_labels(panel)
    assert len(labels) == len(marks)
    assert not labels or labels[-1], 'that on top is always there'
    shown = [(label.left, label.left + 6.6 * len(label.text), label.base)
             for label in labels if label]
    for left, right, base in shown:
        assert 0 <= left and right <= 280 + 1e-9 and 10 <= base <= 200
    for one, other in combinations(shown, 2):
        assert one[1] <= other[0] or other[1] <= one[0] or abs(one[2] - other[2]) >= 11


def test_labels_of_equal_boxes_stand_around_them_as_long_as_there_is_room():
    panel = Panel('', [Mark((20, 50, 60, 60), name, 0) for name in ('a', 'b', 'c', 'd', 'e')])
    labels = picture(panel).place_labels(panel)
    assert labels[0] is None
    # The last one is drawn on top and has the best place.
    assert [label.base for label in labels[:0:-1]] == [50 - 2.5, 50 + 10, 110 + 10, 110 - 2.5]


def test_long_names_are_shortened_at_the_box_only():
    mark = Mark((0, 0, 5, 5), 'motorized_wheelchair', 0, score=0.123)
    assert (mark.text, mark.short_text) == ('motorized_wheelchair 0.12', 'motorized_wheel… 0.12')
    assert Mark((0, 0, 5, 5), 'sixteen_letters_', 0).short_text == 'sixteen_letters_'
