import copy

import bacl  # noqa: F401
import pytest
from bacl.evaluation import load_lvis_annotations

TINY = {
    'images': [{'id': i, 'height': 10, 'width': 10, 'neg_category_ids': [],
                'not_exhaustive_category_ids': []} for i in (4, 7)],
    'categories': [{'id': i, 'name': str(i), 'frequency': 'r'} for i in (2, 3)],
    'annotations': [{'id': 1, 'image_id': 4, 'category_id': 2, 'bbox': [0, 0, 5, 5], 'area': 25,
                     'segmentation': [[0, 0, 5, 0, 5, 5]]}],
}


def test_valid_file_is_returned_whole(write_json):
    assert load_lvis_annotations(write_json(TINY), with_masks=True) == TINY


def test_masks_are_left_out_unless_needed(write_json):
    annotations = load_lvis_annotations(write_json(TINY))['annotations']
    assert [sorted(a) for a in annotations] == [['area', 'bbox', 'category_id', 'id', 'image_id']]


@pytest.mark.parametrize('section, index, field, name', [
    ('images', 1, 'neg_category_ids', 'id 7'),
    ('images', 1, 'not_exhaustive_category_ids', 'id 7'),
    ('images', 1, 'height', 'id 7'),
    ('images', 1, 'id', 'number 1'),
    ('categories', 1, 'frequency', 'id 3'),
    ('categories', 1, 'id', 'number 1'),
    ('annotations', 0, 'image_id', 'id 1'),
    ('annotations', 0, 'category_id', 'id 1'),
    ('annotations', 0, 'bbox', 'id 1'),
    ('annotations', 0, 'area', 'id 1'),
    ('annotations', 0, 'segmentation', 'id 1'),
])
def test_each_missing_field_is_named_with_file_and_record(write_json, section, index, field, name):
    data = copy.deepcopy(TINY)
    del data[section][index][field]
    with pytest.raises(ValueError,
                       match=rf"lvis\.json.* {name} of its '{section}' has no '{field}'"):
        load_lvis_annotations(write_json(data), with_masks=True)


def test_masks_are_needed_only_for_masks(write_json):
    data = copy.deepcopy(TINY)
    del data['annotations'][0]['segmentation']
    assert load_lvis_annotations(write_json(data)) == data


@pytest.mark.parametrize('section, field, value, text', [
    ('categories', 'frequency', 'x', "bad-category.*category 2: frequency 'x'"),
    ('categories', 'id', 3, 'duplicate-id.*category 3'),
    ('images', 'id', 7, 'duplicate-id.*image 7'),
    ('images', 'id', '4', "bad-id.*image '4'"),
    ('images', 'neg_category_ids', None, 'bad-federated.*image 4: neg_category_ids None'),
    ('annotations', 'image_id', 5, 'unknown-image.*annotation 1 of image 5'),
    ('annotations', 'category_id', 5, 'unknown-category.*annotation 1 of category 5'),
])
def test_each_wrong_value_is_named(write_json, section, field, value, text):
    data = copy.deepcopy(TINY)
    data[section][0][field] = value
    with pytest.raises(ValueError, match=rf'(?s)lvis\.json is refused:.*{text}'):
        load_lvis_annotations(write_json(data))


@pytest.mark.parametrize('key', TINY)
def test_file_without_a_list_is_not_lvis(write_json, key):
    with pytest.raises(ValueError, match=rf"lvis\.json is not LVIS: it has no list '{key}'"):
        load_lvis_annotations(write_json({k: v for k, v in TINY.items() if k != key}))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'Annotation file .*none\.json'):
        load_lvis_annotations(tmp_path / 'none.json')
