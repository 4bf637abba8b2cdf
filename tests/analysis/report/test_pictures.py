import io
from base64 import b64decode
from itertools import combinations

import numpy as np
import pytest
from bacl.analysis.report.pictures import (
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
def test_labels_begin_inside_the_image(marks):
    panel = Panel('', [Mark(box, label, 'r') for box, label in marks])
    places = picture(panel).place_labels(panel)
    assert len(places) == len(marks)
    for (left, base), (_, label) in zip(places, marks, strict=True):
        assert 0 <= left and 0 < base <= 200
        assert left == 0 or left + 7 * len(label) <= 280 + 1e-9


def test_labels_of_equal_boxes_stand_below_each_other():
    panel = Panel('', [Mark((20, 50, 60, 60), label, 'r') for label in ('one', 'two', 'three')])
    lines = [base for _, base in picture(panel).place_labels(panel)]
    assert lines[2] == 50 - 2.5, 'the last one is drawn on top and has the best place'
    assert all(abs(a - b) >= 10 for a, b in combinations(lines, 2))
