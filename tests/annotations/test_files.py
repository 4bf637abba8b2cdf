import json
from urllib.error import HTTPError, URLError

import bacl  # noqa: F401
import pytest
from bacl.annotations.files import read_annotations, read_bytes
from bacl.datasets.images import check_image, image_fault
from mmengine.fileio import BaseStorageBackend, register_backend

CONTENT = {'images': None, 'name': 'Ünïcode 猫'}


def test_content_is_returned_unchecked(tmp_path):
    path = tmp_path / 'train.json'
    path.write_text('[3, {"images": null}]')
    assert read_annotations(path) == [3, {'images': None}]


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig'])
@pytest.mark.parametrize('ascii', [False, True])
def test_utf_8_is_read_with_or_without_byte_order_mark(tmp_path, encoding, ascii):
    path = tmp_path / 'train.json'
    path.write_text(json.dumps(CONTENT, ensure_ascii=ascii), encoding=encoding)
    assert read_annotations(path) == CONTENT


@pytest.mark.parametrize('encoding', ['utf-16', 'utf-16-le', 'utf-16-be', 'utf-32', 'utf-32-be',
                                      'latin-1', 'cp1252'])
def test_other_encodings_are_named(tmp_path, encoding):
    path = tmp_path / 'train.json'
    path.write_text(json.dumps({'name': 'Ünïcode'}, ensure_ascii=False), encoding=encoding)
    with pytest.raises(ValueError, match=r'train\.json .*UTF-8'):
        read_annotations(path)


@pytest.mark.parametrize('content', [b'', b' \n', b'\xef\xbb\xbf'])
def test_empty_file_is_named(tmp_path, content):
    path = tmp_path / 'train.json'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'train\.json is empty'):
        read_annotations(path)


@pytest.mark.parametrize('content', [
    b'{"images": [', b'\xff\xfe\x00\x01\x80', b'<html></html>', b'\x89PNG\xff', b'{} {}',
    b'\x1f\x8b\x08\x00', b'PK\x03\x04', b'[' * 100_000, b'{"a": 1,}', b"{'a': 1}"])
def test_file_that_is_not_json_is_named(tmp_path, content):
    path = tmp_path / 'train.json'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'train\.json is not (JSON|text in UTF-8)'):
        read_annotations(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere\.json does not exist.*ann_file'):
        read_annotations(tmp_path / 'nowhere.json')


def test_folder_is_named(tmp_path):
    with pytest.raises(OSError, match=f'{tmp_path} cannot be read'):
        read_annotations(tmp_path)


class ToyBackend(BaseStorageBackend):
    """As of a database or of the web: it cannot tell what exists."""

    answer: object

    def get(self, filepath):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def get_text(self, filepath, encoding='utf-8'):
        raise NotImplementedError


@pytest.fixture
def answer(monkeypatch):
    """Let every path below toy:// give the bytes, or raise the error."""
    register_backend('toy', ToyBackend, force=True, prefixes='toy')
    return lambda value: monkeypatch.setattr(ToyBackend, 'answer', value, raising=False)


class ClientError(Exception):
    """Of the kind that the clients of databases define for themselves."""


@pytest.mark.parametrize('value, error', [
    (None, FileNotFoundError), (HTTPError('toy://a', 404, 'Not Found', {}, None),
                                FileNotFoundError),
    (HTTPError('toy://a', 503, 'Unavailable', {}, None), OSError), (URLError('no route'), OSError),
    (ConnectionResetError('reset'), OSError), (ClientError('MapFull'), OSError),
    (UnicodeEncodeError('ascii', 'ü', 0, 1, 'no key'), OSError)])
def test_backends_that_cannot_tell_what_exists_are_asked_once(answer, value, error):
    answer(value)
    for read in (read_annotations, check_image):
        with pytest.raises(error, match='toy://a') as caught:
            read('toy://a')
        assert type(caught.value) is error
    assert isinstance(image_fault('toy://a'), error)


def test_what_a_backend_gives_is_read(answer):
    answer(memoryview(b'\xef\xbb\xbf[1]'))
    assert read_annotations('toy://a') == [1]


@pytest.mark.parametrize('path', ['gopher://a/b.jpg', '/data/https://images.example.org/1.jpg'])
def test_path_without_a_backend_is_named(path):
    with pytest.raises(ValueError, match=f'Image {path} .*no file backend'):
        read_bytes(path, 'Image', 'Mount it.')
    assert path in str(image_fault(path))


def test_explaining_does_not_fail_where_the_backend_itself_does():
    assert image_fault('a.jpg', dict(backend='local', wrong=1)) is None
