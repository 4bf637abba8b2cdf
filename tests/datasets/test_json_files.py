import hashlib

import bacl  # noqa: F401
import pytest
from bacl.datasets.json_files import digest_files, write_json


def test_equal_content_gives_equal_bytes(tmp_path):
    write_json(tmp_path / 'a.json', {'b': [1, 'é'], 'a': 2})
    write_json(tmp_path / 'b.json', {'a': 2, 'b': [1, 'é']})
    assert (tmp_path / 'a.json').read_bytes() == b'{"a":2,"b":[1,"\\u00e9"]}'
    assert (tmp_path / 'b.json').read_bytes() == (tmp_path / 'a.json').read_bytes()


def test_failure_leaves_the_old_file_and_no_other(tmp_path):
    file = tmp_path / 'a.json'
    write_json(file, {'a': 1})
    with pytest.raises(TypeError):
        write_json(file, {'a': object()})
    assert file.read_bytes() == b'{"a":1}'
    assert list(tmp_path.iterdir()) == [file]


def test_digest_is_sha256_of_the_files_in_order(tmp_path):
    (tmp_path / 'a').write_bytes(b'one')
    (tmp_path / 'b').write_bytes(b'two')
    expected = hashlib.sha256(b'onetwo').hexdigest()
    assert digest_files([tmp_path / 'a', tmp_path / 'b']) == expected
