import json

import numpy as np
import pytest
from bacl.annotations import ClassTable, read_class_table

CATEGORIES = [dict(id=7, name='yoke'), dict(id=3, name='acorn')]
ANNOTATIONS = [dict(category_id=3, image_id=1), dict(category_id=3, image_id=1),
               dict(category_id=3, image_id=2), dict(category_id=7, image_id=2)]


def write(path, **content):
    path.write_text(json.dumps(dict(images=[dict(id=1), dict(id=2)], **content)))
    return path


def test_counts_are_in_the_order_of_the_files_categories(tmp_path):
    path = write(tmp_path / 'a.json', categories=CATEGORIES, annotations=ANNOTATIONS)
    counts = read_class_table(path)
    assert counts.image_count.tolist() == [1, 2]
    assert counts.instance_count.tolist() == [1, 3]
    assert counts.group is None and not counts.groups
    assert counts.names == ('yoke', 'acorn') and counts.num_images == 2


def test_images_without_annotations_are_told_apart():
    table = ClassTable.from_categories(CATEGORIES, {7: [4], 3: [4, 4, 9, 8]}, num_images=5)
    assert table.num_images == 5 and table.num_annotated_images == 3


def test_counts_that_an_lvis_file_has_win_over_counted_ones(tmp_path):
    categories = [dict(CATEGORIES[0], frequency='r', image_count=9),
                  dict(CATEGORIES[1], frequency='c', instance_count=8)]
    path = write(tmp_path / 'a.json', categories=categories, annotations=ANNOTATIONS)
    counts = read_class_table(path)
    assert counts.image_count.tolist() == [9, 2] and counts.instance_count.tolist() == [1, 8]


def test_counts_of_a_coco_file_must_be_those_of_its_annotations(tmp_path):
    categories = [dict(CATEGORIES[0], instance_count=1, image_count=1),
                  dict(CATEGORIES[1], instance_count=3)]
    path = write(tmp_path / 'a.json', categories=categories, annotations=ANNOTATIONS)
    assert read_class_table(path).instance_count.tolist() == [1, 3]


@pytest.mark.parametrize('field, counted', [('instance_count', 3), ('image_count', 2)])
@pytest.mark.parametrize('groups', [{}, {'lt_group': 1}, {'lt_group': 1, 'frequency': 'r'}])
def test_contradicting_count_of_a_coco_file_is_refused(tmp_path, field, counted, groups):
    categories = [{**CATEGORIES[0], **groups}, {**CATEGORIES[1], **groups, field: 8}]
    path = write(tmp_path / 'a.json', categories=categories, annotations=ANNOTATIONS)
    with pytest.raises(ValueError, match=rf"a\.json has the '{field}' 8 of 'acorn', but its "
                       rf"annotations make it {counted}\. Build .* again or remove '{field}'"):
        read_class_table(path)


@pytest.mark.parametrize('field, values, keys', [
    ('frequency', ['r', 'f'], 'rcf'), ('lt_group', [1, 1], '1234'), ('lt_group', [10, 2], None)])
def test_groups_are_those_of_lvis_or_of_coco_lt(field, values, keys):
    categories = [{**c, field: v} for c, v in zip(CATEGORIES, values, strict=True)]
    table = ClassTable.from_categories(categories, {}, num_images=2)
    assert table.group_keys().tolist() == [str(value) for value in values]
    # Groups of other thresholds than COCO-LT's have no borders that are known.
    assert [group.key for group in table.groups] == list(keys or ('2', '10'))
    assert {'20 to 399', 'common', 'group 10'} & {group.label for group in table.groups}


def test_frequency_that_lvis_does_not_have_is_refused():
    categories = [dict(CATEGORIES[0], frequency='r'), dict(CATEGORIES[1], frequency='often')]
    with pytest.raises(ValueError, match="id 3 .*'often'"):
        ClassTable.from_categories(categories, {}, num_images=2)


@pytest.mark.parametrize('thresholds, labels', [
    ((20, 400, 8000), ['below 20', '20 to 399', '400 to 7,999', '8,000 or more']),
    ((5, ), ['below 5', '5 or more']),
    ((1, 2, 3, 10, 1000), ['below 1', '1', '2', '3 to 9', '10 to 999', '1,000 or more'])])
def test_groups_by_thresholds_are_called_after_them(thresholds, labels):
    counts = np.array([thresholds[-1], thresholds[0] - 1, thresholds[0]])
    table = ClassTable(('a', 'b', 'c'), counts, counts, 9).grouped_by_instances(thresholds)
    assert [group.label for group in table.groups] == labels
    assert [table.groups[position].label for position in table.group] == [
        labels[-1], labels[0], labels[1]]
    assert table.group_keys().tolist() == [str(len(labels)), '1', '2']


def test_means_of_groups_are_of_those_that_have_classes():
    counts = np.array([1, 500, 3])
    table = ClassTable(('a', 'b', 'c'), counts, counts, 9).grouped_by_instances()
    assert table.mean_by_group(np.array([1., 5., 2.])) == {'1': 1.5, '3': 5.}


def test_reordered_classes_keep_their_counts_and_groups():
    table = ClassTable(('a', 'b'), np.array([1, 30]), np.array([2, 40]), 9).grouped_by_instances()
    other = table.reordered([1, 0])
    assert other.names == ('b', 'a') and other.group_keys().tolist() == ['2', '1']
    assert other.image_count.tolist() == [30, 1] and other.instance_count.tolist() == [40, 2]


def test_keys_of_classes_without_groups_are_refused():
    with pytest.raises(ValueError, match='grouped_by_instances'):
        ClassTable(('a', ), np.array([1]), np.array([1]), 9).group_keys()


def test_file_of_another_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.json is not COCO: it has no list 'annotations'"):
        read_class_table(write(tmp_path / 'a.json', categories=CATEGORIES))
