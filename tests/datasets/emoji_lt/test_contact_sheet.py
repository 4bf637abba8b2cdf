import numpy as np
from bacl.datasets.emoji_lt.contact_sheet import COLOURS, choose_images, draw_boxes
from PIL import Image


def test_each_group_gets_its_share_of_the_images():
    groups = {image_id: {'f'} for image_id in range(100)}
    groups[97] = {'f', 'r'}
    groups[98] = {'f', 'c'}
    chosen = choose_images(groups, 24)
    assert {97, 98} <= chosen
    assert len(chosen) == 10


def test_a_box_is_drawn_around_its_object_in_the_colour_of_its_group(tmp_path):
    Image.new('RGB', (20, 20)).save(tmp_path / 'black.png')
    tile = np.asarray(draw_boxes(tmp_path / 'black.png', [((5, 6, 4, 3), 'r')]))
    rows, columns = np.nonzero((tile == COLOURS['r']).all(-1))
    assert (columns.min(), columns.max() + 1) == (10, 18)
    assert (rows.min(), rows.max() + 1) == (12, 18)


def test_the_sheet_shows_all_groups(smoke):
    sheet = np.asarray(Image.open(smoke.contact_sheet))
    for colour in COLOURS.values():
        assert (sheet == colour).all(-1).sum() > 100
