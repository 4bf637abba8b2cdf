import pytest
from bacl.annotations import FrequencyGroup
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.visualization.group_styles import MARKERS, GroupStyles


def styles(number):
    return GroupStyles([FrequencyGroup(str(i), f'group {i}') for i in range(number)])


def luminance(colour):
    """Relative luminance of an sRGB colour, in [0, 1]."""
    channels = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055)**2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize('number', [1, 2, 3, 4, 5, 6, 7, 12, 30])
def test_every_group_has_a_colour_of_its_own_that_shows_on_white_and_black(number):
    looks = [styles(number).style(str(i)) for i in range(number)]
    assert len({look['color'] for look in looks}) == number
    assert all(1.05 / (luminance(look['color']) + 0.05) > 1.5
               and (luminance(look['color']) + 0.05) / 0.05 > 1.5 for look in looks)
    assert {look['symbol'] for look in looks} <= MARKERS.keys()
    assert len({look['symbol'] for look in looks}) == min(number, len(MARKERS))


@pytest.mark.parametrize('number', [7, 12])
def test_many_groups_are_in_order_without_colours(number):
    shades = [luminance(colour) for colour in styles(number).colours]
    assert shades == sorted(shades) and len(set(shades)) == number


def test_groups_that_occur_are_in_the_order_of_their_rank():
    lvis = GroupStyles(LVIS_GROUPS)
    assert lvis.present(['f', 'r', 'f']) == ['r', 'f']
    assert (lvis.label('c'), lvis.position('c')) == ('common', 1)
