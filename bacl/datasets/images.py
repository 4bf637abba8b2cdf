"""Reading of images, and why one cannot be read."""
from collections.abc import Mapping
from typing import Any

import cv2
import mmcv
import numpy as np
from bacl.annotations.files import read_bytes as read_file


def read_bytes(img_path: str, backend_args: dict | None = None) -> bytes:
    """Bytes of an image file.

    Args:
        img_path: path or URL of the image.
        backend_args: of mmengine's file backend; None finds the backend by the path.

    Raises:
        FileNotFoundError: if the image does not exist.
        OSError: if it cannot be read.
        ValueError: if mmengine has no file backend for such a path.
    """
    return read_file(img_path, 'Image', 'Check data_root and data_prefix of the dataset.',
                     backend_args)


def decode(content: bytes, img_path: str, color_type: str = 'color',
           imdecode_backend: str = 'cv2') -> np.ndarray:
    """Decode an image, as ``LoadImageFromFile`` would.

    Args:
        content: bytes of the file.
        img_path: for the message.
        color_type: as of ``LoadImageFromFile``.
        imdecode_backend: the same.

    Returns:
        (H, W, 3), uint8, BGR, turned as its EXIF data say; other shapes and types for other than
        the default arguments.

    Raises:
        ValueError: if the bytes are not an image, or not a whole one.
    """
    try:
        # OpenCV returns None for broken bytes, but raises for none at all; others raise.
        image = mmcv.imfrombytes(content, color_type, backend=imdecode_backend)
    except (cv2.error, OSError):
        image = None
    if image is None or is_cut_jpeg(content):
        raise ValueError(f'Image {img_path} ({len(content)} bytes) cannot be decoded. '
                         'Download or build it again.')
    return image


# After a byte 255: another one that fills, a marker for nothing, restart markers.
_WITHOUT_LENGTH = {bytes([code]) for code in (0xff, 0x01, *range(0xd0, 0xd8))}


def is_cut_jpeg(content: bytes) -> bool:
    """Tell whether a JPEG file ends before its image does.

    OpenCV before 5 decodes such a file without an error; what is missing is black.
    """
    if not content.startswith(b'\xff\xd8'):
        return False
    position = 2
    # Segments before the scan: marker, then the length of the rest. One may hold a whole preview.
    while content[position:position + 1] == b'\xff' and \
            content[position + 1:position + 2] != b'\xda':
        if content[position + 1:position + 2] in _WITHOUT_LENGTH:
            position += 1 if content[position + 1:position + 2] == b'\xff' else 2
        else:
            position += 2 + int.from_bytes(content[position + 2:position + 4], 'big')
    return content.find(b'\xff\xd9', position) < 0


def check_image(img_path: str, backend_args: dict | None = None) -> None:
    """Decode an image, as ``LoadImageFromFile`` would; the error names the file.

    Args:
        img_path: path or URL of the image.
        backend_args: of mmengine's file backend; None finds the backend by the path.

    Raises:
        FileNotFoundError: if the image does not exist.
        OSError: if it cannot be read.
        ValueError: if its bytes are not an image, or not a whole one.
    """
    decode(read_bytes(img_path, backend_args), img_path)


def image_fault(img_path: str, backend_args: dict | None = None) -> OSError | ValueError | None:
    """The error that keeps an image from being read, to explain another; None if nothing does.

    Raises nothing, whatever the backend does: the failure to explain would be hidden.
    """
    try:
        check_image(img_path, backend_args)
    except (OSError, ValueError) as error:
        return error
    except Exception:  # of the backend itself, which is not about the image
        return None
    return None


def loaded_size(sample: Any) -> tuple[int, int] | None:
    """Height and width of the image of a sample as it was loaded, in pixels.

    Args:
        sample: what a pipeline returned, packed for a detector or not.

    Returns:
        None if the sample does not tell.
    """
    if not isinstance(sample, Mapping):
        return None
    packed = sample.get('data_samples')
    if isinstance(packed, list | tuple) and packed:  # test-time augmentation
        packed = packed[0]
    size = getattr(packed, 'metainfo', sample).get('ori_shape')
    return None if size is None else tuple(size[:2])
