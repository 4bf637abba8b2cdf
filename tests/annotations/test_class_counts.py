import json

import pytest
from bacl.annotations import count_classes, read_class_counts

CATEGORIES = [dict(id=7, name='yoke'), dict(id=3, name='acorn')]
ANNOTATIONS = [dict(category_id=3, image_id=1), dict(category_id=3, image_id=1),
               dict(category_id=3, image_id=2), dict(category_id=7, image_id=2)]


def write(path, **content):
    path.write_text(json.dumps(content))
    return path


def test_counts_are_in_the_order_of_the_files_categories(tmp_path):
    path = write(tmp_path / 'a.json', categories=CATEGORIES, annotations=ANNOTATIONS)
    counts = read_class_counts(path)
    assert counts.image_count.tolist() == [1, 2]
    assert counts.instance_count.tolist() == [1, 3]
    assert counts.group is None


def test_stated_counts_win_over_counted_ones(tmp_path):
    categories = [dict(CATEGORIES[0], image_count=9), dict(CATEGORIES[1], instance_count=8)]
    path = write(tmp_path / 'a.json', categories=categories, annotations=ANNOTATIONS)
    counts = read_class_counts(path)
    assert counts.image_count.tolist() == [9, 2] and counts.instance_count.tolist() == [1, 8]


@pytest.mark.parametrize('field, values', [('frequency', ['r', 'f']), ('lt_group', [1, 4])])
def test_groups_are_those_of_lvis_or_of_coco_lt(field, values):
    categories = [{**c, field: v} for c, v in zip(CATEGORIES, values, strict=True)]
    assert count_classes(categories, {}).group.tolist() == [str(v) for v in values]


def test_file_of_another_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.json has no 'categories' or no 'annotations'"):
        read_class_counts(write(tmp_path / 'a.json', images=[]))
