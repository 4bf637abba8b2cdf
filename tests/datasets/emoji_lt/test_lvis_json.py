from pathlib import Path

import numpy as np
from bacl.datasets.emoji_lt.lvis_json import (
    absent_category_ids,
    annotation_record,
    category_records,
)
from bacl.datasets.emoji_lt.plan import PlannedObject
from bacl.datasets.emoji_lt.sources import Emoji
from pycocotools import mask as mask_utils

OBJECTS = [PlannedObject(0, 'Appl', Path('a.png')), PlannedObject(2, 'Joy', Path('b.png'))]


def test_box_and_area_are_those_of_a_mask_in_two_pieces_with_a_hole():
    mask = np.zeros((20, 30), dtype=bool)
    mask[3:10, 5:12] = True
    mask[5:7, 7:9] = False
    mask[15, 25] = True
    record = annotation_record(OBJECTS[1], mask)
    assert record['bbox'] == [5, 3, 21, 13]
    assert record['area'] == 7 * 7 - 4 + 1
    np.testing.assert_array_equal(mask_utils.decode(record['segmentation']), mask)
    assert record['category_id'] == 3 and record['style'] == 'Joy' and record['iscrowd'] == 0


def test_absent_categories_are_all_others():
    assert absent_category_ids(OBJECTS, 5) == [2, 4, 5]


def test_counts_of_categories_are_counted():
    emoji = [Emoji('a', 'U+0061', 'first', {}), Emoji('b', 'U+0062', 'second', {})]
    annotations = [dict(category_id=1, image_id=image_id) for image_id in range(11)]
    annotations += [dict(category_id=2, image_id=4)] * 3
    first, second = category_records(emoji, annotations)
    assert (first['id'], first['image_count'], first['instance_count']) == (1, 11, 11)
    assert (second['id'], second['image_count'], second['instance_count']) == (2, 1, 3)
    assert (first['frequency'], second['frequency']) == ('c', 'r')
