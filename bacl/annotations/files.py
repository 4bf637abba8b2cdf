"""The one reader of files that a dataset, a metric or a report needs: bytes, then JSON."""
import codecs
import json
from collections.abc import Callable
from os import PathLike
from typing import Any
from urllib.error import HTTPError

from mmengine.fileio import get_file_backend

from .cycle_collection import no_cycle_collection

# What a file begins with that is no UTF-8. The mark of UTF-32 begins with that of UTF-16.
_OTHER_CONTENTS = (
    (codecs.BOM_UTF32_LE, 'UTF-32'), (codecs.BOM_UTF32_BE, 'UTF-32'),
    (codecs.BOM_UTF16_LE, 'UTF-16'), (codecs.BOM_UTF16_BE, 'UTF-16'),
    (b'\x1f\x8b', 'compressed by gzip'), (b'PK\x03\x04', 'a zip archive'))
_CURE = 'Download or build it again.'


def read_bytes(path: str | PathLike, kind: str, cure: str,
               backend_args: dict | None = None) -> bytes:
    """Read a file with any of mmengine's file backends; some of them cannot tell what exists.

    Args:
        path: path or URL, or the key in a database.
        kind: what the file is, for the message, as in 'Image'.
        cure: sentence that follows if there is no such file.
        backend_args: of mmengine's file backend; None finds the backend by the path.

    Raises:
        FileNotFoundError: if there is no such file.
        OSError: if it cannot be read.
        ValueError: if no backend is registered for such a path.
    """
    path = str(path)
    try:
        backend = get_file_backend(path, backend_args=backend_args, enable_singleton=True)
    except KeyError as error:
        raise ValueError(f'{kind} {path} cannot be read: mmengine has no file backend for {error}. '
                         f'{cure}') from None
    try:
        content = backend.get(path)
    except (FileNotFoundError, HTTPError) as error:
        if getattr(error, 'code', 404) not in (404, 410):
            raise OSError(f'{kind} {path} cannot be read: {error}.') from error
        content = None
    except Exception as error:  # each client has errors of its own
        raise OSError(f'{kind} {path} cannot be read: {type(error).__name__}: {error}. '
                      f'{cure}') from error
    if content is None:  # so say databases
        raise FileNotFoundError(f'{kind} {path} does not exist. {cure}')
    return bytes(content)


def read_annotations(ann_file: str | PathLike, backend_args: dict | None = None,
                     object_hook: Callable[[dict], Any] | None = None) -> Any:
    """Read a JSON file of annotations: UTF-8, with or without byte order mark.

    Args:
        ann_file: path or URL of the annotation file.
        backend_args: of mmengine's file backend; None finds the backend by the path.
        object_hook: called with every object, the innermost first; its result takes the object's
            place.

    Returns:
        Its content, unchecked.

    Raises:
        FileNotFoundError: if the file does not exist.
        OSError: if it cannot be read.
        ValueError: if it is empty, not UTF-8 or not JSON.
    """
    name = f'Annotation file {ann_file}'
    # The bytes, a gigabyte of LVIS, are not kept while the text is parsed.
    text = decode_text(read_bytes(
        ann_file, 'Annotation file', 'Check data_root and ann_file of the dataset.', backend_args),
        name)
    if not text.strip():
        raise ValueError(f'{name} is empty. {_CURE}')
    try:
        with no_cycle_collection():
            return json.loads(text, object_hook=object_hook)
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{name} is not JSON: {error}. {_CURE}') from None


def decode_text(content: bytes, name: str) -> str:
    """Decode UTF-8, with or without byte order mark.

    Args:
        content: bytes of the file.
        name: of the file, for the message.

    Raises:
        ValueError: if it is something else.
    """
    check_encoding(content, name)
    try:
        return content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{name} is not text in UTF-8: {error}. Save it as UTF-8.') from None


def check_encoding(start: bytes, name: str) -> None:
    """Raise a ``ValueError`` if the first bytes of a file show that it is not text in UTF-8.

    Args:
        start: its first four bytes, or more.
        name: of the file, for the message.
    """
    found = next((content for mark, content in _OTHER_CONTENTS if start.startswith(mark)), None)
    # The first character of JSON is ASCII: beside it are zeros in UTF-16 and UTF-32.
    if found is None and b'\x00' in start[:4]:
        found = 'UTF-16 or UTF-32'
    if found is not None:
        raise ValueError(f'{name} is not text in UTF-8, but {found}. Save or unpack it as UTF-8.')
