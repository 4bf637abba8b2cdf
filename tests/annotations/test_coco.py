import copy
import json

import bacl  # noqa: F401
import pytest
from bacl.annotations.coco import (
    check_coco_categories,
    coco_class_table,
    read_coco_annotations,
)

TINY = {
    'images': [{'id': 4, 'width': 9}, {'id': 7, 'width': 9}],
    'categories': [{'id': 3, 'name': 'emu'}, {'id': 2, 'name': 'cat'}],
    'annotations': [{'id': 1, 'image_id': 4, 'category_id': 2},
                    {'id': 5, 'image_id': 4, 'category_id': 2}],
}


@pytest.fixture
def write(tmp_path):
    def write(change=lambda data: None):
        data = copy.deepcopy(TINY)
        change(data)
        path = tmp_path / 'train.json'
        path.write_text(json.dumps(data))
        return path

    return write


def test_valid_file_is_returned_whole(write):
    assert read_coco_annotations(write(), ('width', ), ('id', )) == TINY


def test_classes_are_counted_in_the_order_of_the_file(write):
    counts = coco_class_table(read_coco_annotations(write()), 'a.json')
    assert counts.instance_count.tolist() == [0, 2] and counts.image_count.tolist() == [0, 1]


@pytest.mark.parametrize('change, text', [
    (lambda data: data.pop('images'), r"no list 'images'"),
    (lambda data: data.update(annotations={}), r"no list 'annotations'"),
    (lambda data: data.update(categories=[]), r"'categories' is empty"),
    (lambda data: data['images'][1].pop('width'), r"id 7 of its 'images' has no 'width'"),
    (lambda data: data['images'].append(3), r"number 2 of its 'images' has no 'id'"),
    (lambda data: data['annotations'][1].pop('id'), r"number 1 of its 'annotations' has no 'id'"),
    (lambda data: data['categories'][0].pop('name'), r"id 3 of its 'categories' has no 'name'"),
    (lambda data: data['images'][1].update(id=4), r"'images' have the id 4 twice"),
    (lambda data: data['annotations'][1].update(id=1), r"'annotations' have the id 1 twice"),
    (lambda data: data['categories'][1].update(name='emu'), r"have the name 'emu' twice"),
    (lambda data: data['annotations'][1].update(image_id=8), r"id 5 .* the 'image_id' 8, which"),
    (lambda data: data['annotations'][0].update(category_id=9), r"id 1 .* the 'category_id' 9"),
])
def test_what_is_not_coco_is_named(write, change, text):
    with pytest.raises(ValueError, match=rf'train\.json is not COCO: .*{text}'):
        read_coco_annotations(write(change), ('width', ), ('id', ))


def test_fields_that_nobody_needs_may_be_missing(write):
    def remove(data):
        for record in (*data['images'], *data['annotations']):
            record.pop('width', None)
        del data['annotations'][0]['id']

    assert read_coco_annotations(write(remove))


def test_categories_are_checked_alone():
    check_coco_categories(TINY['categories'], 'a.json')
    with pytest.raises(ValueError, match=r"a\.json is not COCO: .*'categories' is empty"):
        check_coco_categories([], 'a.json')


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere\.json does not exist'):
        read_coco_annotations(tmp_path / 'nowhere.json')
