import json
from array import array

import bacl  # noqa: F401
import pytest
from bacl.planning import annotation_files
from bacl.planning.annotation_files import read_packed, write_packed


def test_polygons_are_packed_and_everything_is_written_as_it_was_read(tmp_path):
    content = dict(
        info=dict(year=2024, nested=[1, None, 'ä']), images=[], categories=[dict(id=1, name='犬')],
        annotations=[dict(id=i, segmentation=mask) for i, mask in enumerate([
            [[1.25, 2, 3, 4, 5, 6], [0, 0, 1, 1, 2, 2]], dict(size=[2, 2], counts=[1, 3]),
            dict(size=[2, 2], counts='12'), [], [1, 2, 3], [[1, 2], 3], [['a', 2]], None])])
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(content), encoding='utf-8-sig')
    data = read_packed(path)
    masks = [annotation['segmentation'] for annotation in data['annotations']]
    assert masks[0] == [array('d', [1.25, 2, 3, 4, 5, 6]), array('d', [0, 0, 1, 1, 2, 2])]
    assert [type(mask) for mask in masks[1:]] == [dict, dict, list, list, list, list, type(None)]
    write_packed(tmp_path / 'new' / 'b.json', data)
    assert json.loads((tmp_path / 'new' / 'b.json').read_text('utf-8')) == content


@pytest.mark.parametrize('piece', [1, 2, 7, 10**6])
@pytest.mark.parametrize('text', [
    '{}', '[]', ' [1, {"a": [2]}] ', '12', '1234567', '"x"', 'null', '{"a": 1234567}', '{"a": [ ]}',
    '{ "a" : [ 1 , -2.5e3 , "é\\u00e9]" , null , [[]] ] , "b":{"c":[{}]}, "a,": true }\n',
    '{"images": [{"id": 1}, {"id": 22222}], "info": 7}'])
def test_any_json_is_read_in_pieces_of_any_size(text, piece, tmp_path, monkeypatch):
    monkeypatch.setattr(annotation_files, '_PIECE', piece)
    path = tmp_path / 'a.json'
    for encoding in ('utf-8', 'utf-8-sig'):
        path.write_text(text, encoding=encoding)
        assert read_packed(path) == json.loads(text)


@pytest.mark.parametrize('text, message', [
    ('', 'is empty'), ('{"a": 1', 'is not JSON'), ('{"a": [1, 2}', 'is not JSON'),
    ('{"a" 1}', 'is not JSON'), ('{"a": 1} {}', 'is not JSON'), ('{"a": [1 2]}', 'is not JSON'),
    ('{"a": [{"b": tru}]}', 'is not JSON'), ('x', 'is not JSON'), ('{"a": [1, ]}', 'is not JSON'),
    ('{"a": 1, }', 'is not JSON'), ('{1: 2}', 'is not JSON'), ('[' * 10**5, 'is not JSON')])
def test_broken_json_is_named_as_by_the_other_reader(text, message, tmp_path, monkeypatch):
    monkeypatch.setattr(annotation_files, '_PIECE', 4)
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(ValueError, match=f'a.json {message}'):
        read_packed(tmp_path / 'a.json')


def test_other_encodings_and_missing_files_are_named(tmp_path):
    (tmp_path / 'a.json').write_text('{"a": "é"}', encoding='utf-16')
    with pytest.raises(ValueError, match='a.json is not text in UTF-8, but UTF-16'):
        read_packed(tmp_path / 'a.json')
    with pytest.raises(FileNotFoundError, match='b.json does not exist'):
        read_packed(tmp_path / 'b.json')


def test_many_records_are_one_list(tmp_path):
    for number in (0, 1, 1000, 1001, 2500):
        content = dict(annotations=[dict(id=i) for i in range(number)], images=[])
        write_packed(tmp_path / 'a.json', content)
        assert json.loads((tmp_path / 'a.json').read_text()) == content


def test_what_is_no_json_leaves_no_file(tmp_path):
    with pytest.raises(TypeError, match='object is no JSON'):
        write_packed(tmp_path / 'a.json', dict(info=object()))
    assert not list(tmp_path.iterdir())
