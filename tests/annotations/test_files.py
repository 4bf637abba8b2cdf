import bacl  # noqa: F401
import pytest
from bacl.annotations.files import RecordChecker, read_annotations


def test_content_is_returned_unchecked(tmp_path):
    path = tmp_path / 'train.json'
    path.write_text('[3, {"images": null}]')
    assert read_annotations(path) == [3, {'images': None}]


def test_missing_file_is_named(tmp_path):
    path = tmp_path / 'nowhere.json'
    with pytest.raises(FileNotFoundError, match=r'nowhere\.json does not exist.*ann_file'):
        read_annotations(path)


@pytest.mark.parametrize('content', [b'', b' \n'])
def test_empty_file_is_named(tmp_path, content):
    path = tmp_path / 'train.json'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'train\.json is empty'):
        read_annotations(path)


@pytest.mark.parametrize('content', [b'{"images": [', b'\xff\xfe\x00\x01\x80', b'<html></html>'])
def test_file_that_is_not_json_is_named(tmp_path, content):
    path = tmp_path / 'train.json'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'train\.json is not JSON'):
        read_annotations(path)


CHECKER = RecordChecker('XYZ', 'a.json')
RECORDS = [{'id': 4, 'name': 'emu'}, {'id': 7, 'name': 'cat'}]
DATA = {'images': RECORDS, 'categories': RECORDS,
        'annotations': [{'image_id': 4, 'category_id': 7}]}


def test_what_follows_the_rules_passes():
    CHECKER.check_lists(DATA, {'images': ['id', 'name'], 'annotations': ['image_id']})
    CHECKER.check_categories(RECORDS, ['id'])
    CHECKER.check_unique('images', RECORDS, 'name')
    CHECKER.check_references(DATA)


@pytest.mark.parametrize('check, text', [
    (lambda: CHECKER.check_lists(3, {'images': []}), "it has no list 'images'"),
    (lambda: CHECKER.check_lists({'images': {}}, {'images': []}), "it has no list 'images'"),
    (lambda: CHECKER.check_lists(DATA, {'images': ['width']}),
     "id 4 of its 'images' has no 'width'"),
    (lambda: CHECKER.check_fields('images', [{'id': 4}, 3], ['id']),
     "number 1 of its 'images' has no 'id'"),
    (lambda: CHECKER.check_categories([], ['id']), "its list 'categories' is empty"),
    (lambda: CHECKER.check_unique('images', [*RECORDS, RECORDS[0]], 'name'),
     "its 'images' have the name 'emu' twice"),
    (lambda: CHECKER.check_references({**DATA, 'images': RECORDS[1:]}),
     "number 0 of its 'annotations' has the 'image_id' 4, which it does not list"),
    (lambda: CHECKER.check_references({**DATA, 'categories': RECORDS[:1]}),
     "number 0 of its 'annotations' has the 'category_id' 7, which it does not list"),
])
def test_broken_rule_is_named_with_file_and_format(check, text):
    with pytest.raises(ValueError) as error:
        check()
    assert str(error.value) == f'Annotation file a.json is not XYZ: {text}.'
