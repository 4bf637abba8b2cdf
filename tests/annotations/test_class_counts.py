import json

import pytest
from bacl.annotations import count_classes, read_class_counts

CATEGORIES = [dict(id=7, name='yoke'), dict(id=3, name='acorn')]
ANNOTATIONS = [dict(category_id=3, image_id=1), dict(category_id=3, image_id=1),
               dict(category_id=3, image_id=2), dict(category_id=7, image_id=2)]


def write(path, **content):
    path.write_text(json.dumps(dict(images=[dict(id=1), dict(id=2)], **content)))
    return path


def test_counts_are_in_the_order_of_the_files_categories(tmp_path):
    path = write(tmp_path / 'a.json', categories=CATEGORIES, annotations=ANNOTATIONS)
    counts = read_class_counts(path)
    assert counts.image_count.tolist() == [1, 2]
    assert counts.instance_count.tolist() == [1, 3]
    assert counts.group is None


def test_counts_that_an_lvis_file_has_win_over_counted_ones(tmp_path):
    categories = [dict(CATEGORIES[0], frequency='r', image_count=9),
                  dict(CATEGORIES[1], frequency='c', instance_count=8)]
    path = write(tmp_path / 'a.json', categories=categories, annotations=ANNOTATIONS)
    counts = read_class_counts(path)
    assert counts.image_count.tolist() == [9, 2] and counts.instance_count.tolist() == [1, 8]


def test_counts_of_a_coco_file_must_be_those_of_its_annotations(tmp_path):
    categories = [dict(CATEGORIES[0], instance_count=1, image_count=1),
                  dict(CATEGORIES[1], instance_count=3)]
    path = write(tmp_path / 'a.json', categories=categories, annotations=ANNOTATIONS)
    assert read_class_counts(path).instance_count.tolist() == [1, 3]


@pytest.mark.parametrize('field, counted', [('instance_count', 3), ('image_count', 2)])
@pytest.mark.parametrize('groups', [{}, {'lt_group': 1}, {'lt_group': 1, 'frequency': 'r'}])
def test_contradicting_count_of_a_coco_file_is_refused(tmp_path, field, counted, groups):
    categories = [{**CATEGORIES[0], **groups}, {**CATEGORIES[1], **groups, field: 8}]
    path = write(tmp_path / 'a.json', categories=categories, annotations=ANNOTATIONS)
    with pytest.raises(ValueError, match=rf"a\.json has the '{field}' 8 of 'acorn', but its "
                       rf"annotations make it {counted}\. Build .* again or remove '{field}'"):
        read_class_counts(path)


@pytest.mark.parametrize('field, values', [('frequency', ['r', 'f']), ('lt_group', [1, 4])])
def test_groups_are_those_of_lvis_or_of_coco_lt(field, values):
    categories = [{**c, field: v} for c, v in zip(CATEGORIES, values, strict=True)]
    assert count_classes(categories, {}).group.tolist() == [str(v) for v in values]


def test_file_of_another_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.json is not COCO: it has no list 'annotations'"):
        read_class_counts(write(tmp_path / 'a.json', categories=CATEGORIES))
