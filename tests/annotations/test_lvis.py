import json

import bacl  # noqa: F401
import pytest
from bacl.annotations.lvis import (
    REQUIRED_FIELDS,
    check_lvis_annotations,
    check_lvis_categories,
)


@pytest.fixture(params=['v0.5', 'v1'])
def lvis_file(request, make_lvis):
    root = make_lvis(request.param)
    return root / 'annotations' / f'lvis_{request.param}_train.json'


def test_lvis_file_passes(lvis_file):
    check_lvis_annotations(str(lvis_file))


@pytest.mark.parametrize('data', [[], 3, {'images': {}}])
def test_json_of_another_kind_is_refused(tmp_path, data):
    path = tmp_path / 'train.json'
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=r"train\.json is not LVIS.*no list 'images'"):
        check_lvis_annotations(str(path))


@pytest.mark.parametrize('section', REQUIRED_FIELDS)
def test_missing_list_is_named(lvis_file, section):
    data = json.loads(lvis_file.read_text())
    del data[section]
    lvis_file.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=f'{lvis_file.name} is not LVIS.*no list {section!r}'):
        check_lvis_annotations(str(lvis_file))


@pytest.mark.parametrize('section, field', [
    (section, field) for section, fields in REQUIRED_FIELDS.items() for field in fields])
def test_missing_field_is_named_with_its_record(lvis_file, section, field):
    data = json.loads(lvis_file.read_text())
    name = 'number 1' if field == 'id' else f'id {data[section][1]["id"]}'
    del data[section][1][field]
    lvis_file.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=f'{name} of its {section!r} has no {field!r}'):
        check_lvis_annotations(str(lvis_file))


def test_record_that_is_no_object_is_named(lvis_file):
    data = json.loads(lvis_file.read_text())
    data['images'][1] = 3
    lvis_file.write_text(json.dumps(data))
    with pytest.raises(ValueError, match="number 1 of its 'images' has no 'id'"):
        check_lvis_annotations(str(lvis_file))


def test_additional_image_field_is_required(make_lvis):
    path = make_lvis('v0.5') / 'annotations' / 'lvis_v0.5_train.json'
    check_lvis_annotations(str(path), ['file_name'])
    with pytest.raises(ValueError, match=r"id \d+ of its 'images' has no 'coco_url'"):
        check_lvis_annotations(str(path), ['coco_url'])


def test_unknown_frequency_is_refused(lvis_file):
    data = json.loads(lvis_file.read_text())
    data['categories'][2]['frequency'] = 'often'
    lvis_file.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=r"id \d+ of its 'categories' has the 'frequency' 'often'"):
        check_lvis_annotations(str(lvis_file))


def test_file_without_categories_is_refused(lvis_file):
    data = json.loads(lvis_file.read_text())
    data['categories'] = []
    lvis_file.write_text(json.dumps(data))
    with pytest.raises(ValueError, match="list 'categories' is empty"):
        check_lvis_annotations(str(lvis_file))


@pytest.mark.parametrize('categories, text', [
    ([], "list 'categories' is empty"),
    ([{'id': 2, 'frequency': 'r'}], "id 2 of its 'categories' has no 'name'"),
    ([{'id': 2, 'name': 'emu', 'frequency': 'x'}], "id 2 .* has the 'frequency' 'x'"),
])
def test_categories_are_checked_alone(categories, text):
    check_lvis_categories([{'id': 2, 'name': 'emu', 'frequency': 'r'}], 'a.json')
    with pytest.raises(ValueError, match=rf'a\.json is not LVIS: .*{text}'):
        check_lvis_categories(categories, 'a.json')
