import json

import bacl  # noqa: F401
import pytest
from bacl.evaluation.functional import records
from bacl.evaluation.functional.records import iterate_records, write_records
from hypothesis import given
from hypothesis import strategies as st

# What looks like the end of a record, inside of one.
texts = st.sampled_from(['', '},{', '}, {', '[{', '"', '\\', '}]', 'ü'])
values = st.one_of(st.floats(allow_nan=False, allow_infinity=False), texts,
                   st.lists(st.dictionaries(texts, st.integers(), max_size=2), max_size=3))
lists = st.lists(st.dictionaries(texts, values, max_size=3), max_size=8)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several blocks even of few records."""
    monkeypatch.setattr(records, '_BLOCK', 16)


@given(lists, st.sampled_from([None, 0, 1]), st.sampled_from([(',', ':'), (', ', ': '),
                                                              (' \n,\t', ' : ')]), st.booleans())
def test_what_is_read_is_what_json_reads(tmp_path_factory, content, indent, separators, ascii):
    path = tmp_path_factory.mktemp('records') / 'results.json'
    path.write_text(json.dumps(content, indent=indent, separators=separators, ensure_ascii=ascii),
                    encoding='utf-8')
    assert list(iterate_records(path)) == content


@given(lists)
def test_what_was_written_is_read(tmp_path_factory, content):
    path = tmp_path_factory.mktemp('records') / 'new' / 'results.json'
    write_records(path, (record for record in content))
    assert json.loads(path.read_text()) == content
    assert list(iterate_records(str(path))) == content


def test_few_records_are_in_memory_at_a_time(tmp_path, monkeypatch):
    path = tmp_path / 'results.json'
    write_records(path, ({'image_id': i} for i in range(200)))
    sizes = []
    loads = json.loads

    def counting_loads(text):
        sizes.append(len(text))
        return loads(text)

    monkeypatch.setattr(records.json, 'loads', counting_loads)
    assert [record['image_id'] for record in iterate_records(path)] == list(range(200))
    # A block and what was left over of the one before.
    assert max(sizes) <= 5 * 16


@pytest.mark.parametrize('content, text', [
    ('{}', r"'\{\}' at its start"), ('', "'' at its start"), ('[', 'no JSON'),
    ('[{"a": 1}, {"a": 2}', 'no JSON'), ('[{"a": 1}, {"a": }, {"a": 3}]', 'no JSON'),
    ('[{"a": 1}] []', 'no JSON'), ('[{"a": 1} {"a": 2}]', 'no JSON'), ('[{"a": 1}, 3]', 'a int'),
    ('[[]]', 'a list among them')])
def test_file_that_holds_no_records_is_named(tmp_path, content, text):
    path = tmp_path / 'results.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=rf'expects a JSON list .*got {text}.* in .*results\.json'):
        list(iterate_records(path))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'path=.*none\.json'):
        next(iterate_records(tmp_path / 'none.json'))
