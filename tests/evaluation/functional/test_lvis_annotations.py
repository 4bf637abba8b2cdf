import copy
import json

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


@pytest.mark.parametrize('key, index, field, name', [
    ('images', 1, 'neg_category_ids', 'image 7'),
    ('images', 1, 'not_exhaustive_category_ids', 'image 7'),
    ('images', 1, 'height', 'image 7'),
    ('images', 1, 'id', 'entry 1'),
    ('categories', 1, 'frequency', 'category 3'),
    ('categories', 1, 'id', 'entry 1'),
    ('annotations', 0, 'image_id', 'entry 0'),
    ('annotations', 0, 'category_id', 'entry 0'),
    ('annotations', 0, 'bbox', 'entry 0'),
    ('annotations', 0, 'area', 'entry 0'),
    ('annotations', 0, 'segmentation', 'entry 0'),
])
def test_each_missing_field_is_named_with_file_and_entry(write_json, key, index, field, name):
    data = copy.deepcopy(TINY)
    del data[key][index][field]
    with pytest.raises(ValueError, match=rf'\b{field}\b.* got {name} .*lvis\.json'):
        load_lvis_annotations(write_json(data), with_masks=True)


@pytest.mark.parametrize('key, index, field, value, text', [
    ('categories', 0, 'frequency', 'x', 'frequency .* category 2 with x'),
    ('categories', 0, 'id', 3, 'different ids, got id 3 twice'),
    ('images', 0, 'id', 7, 'different ids, got id 7 twice'),
    ('images', 0, 'neg_category_ids', None, 'neg_category_ids .* image 4'),
    ('annotations', 0, 'image_id', 5, 'entry 0 with image_id 5'),
    ('annotations', 0, 'category_id', 5, 'entry 0 with category_id 5'),
])
def test_each_wrong_value_is_named(write_json, key, index, field, value, text):
    data = copy.deepcopy(TINY)
    data[key][index][field] = value
    with pytest.raises(ValueError, match=text):
        load_lvis_annotations(write_json(data))


@pytest.mark.parametrize('key', TINY)
def test_file_without_a_list_is_not_lvis(write_json, key):
    with pytest.raises(ValueError, match=r'expects LVIS annotations .*lvis\.json'):
        load_lvis_annotations(write_json({k: v for k, v in TINY.items() if k != key}))


@pytest.mark.parametrize('content, text', [
    ('', 'is empty'), (' \n', 'is empty'), ('{"images": [', 'is not JSON'),
    (b'\x89PNG\xff', 'is not JSON'), (json.dumps([1]), 'expects LVIS'),
    (json.dumps({**TINY, 'images': [1]}), 'integer id for each of its images'),
])
def test_files_that_are_not_lvis_are_refused_by_name(tmp_path, content, text):
    path = tmp_path / 'other.json'
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=rf'other\.json.*{text}|{text}.*other\.json'):
        load_lvis_annotations(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'Annotation file .*none\.json'):
        load_lvis_annotations(tmp_path / 'none.json')
