"""The unusual in an image file, by rule: refused, or only counted.

The rules stand in the table of ``bacl/datasets/README.md``. Only ``python -m bacl.check data``
applies them: opening all images takes too long for the start of a training.
"""
import io
from collections.abc import Iterator
from typing import NamedTuple

from bacl.annotations.rules import Rule
from PIL import Image

from .images import decode, read_bytes

MISSING_IMAGE = Rule('missing-image', 'images that do not exist or cannot be read',
                     'Check data_root and data_prefix of the dataset', refused=True)
BROKEN_IMAGE = Rule('broken-image', 'images that cannot be decoded, or only in part',
                    'Download or build them again', refused=True)
OTHER_SIZE = Rule('other-size', 'images whose size as loaded is not that of the annotations',
                  'Write the size as loaded. Where EXIF turns them: remove the tag if boxes fit '
                  'the unturned image',
                  refused=True)
OTHER_CHANNELS = Rule('other-channels', 'images not loaded as three channels of 8 bits',
                      "Leave LoadImageFromFile(color_type=) 'color'", refused=True)
CLIPPED_16_BIT = Rule('clipped-16-bit', 'images of 16 bits, of which Pillow keeps nothing above '
                      '255', "Leave LoadImageFromFile(imdecode_backend=) 'cv2'", refused=True)
EXIF_TURNED = Rule('exif-turned', 'images that are turned or mirrored as their EXIF data say, and '
                   'then fit the annotations', 'Look at one with its boxes: a turn by 180 degrees '
                   'or a mirror does not change the size')
GRAYSCALE = Rule('grayscale', 'images of one channel', 'Handled: it becomes all three')
PALETTE = Rule('palette', 'images with a palette', 'Handled: colours are looked up')
CMYK = Rule('cmyk', 'images in CMYK', 'Handled: converted without their colour profile')
ALPHA = Rule('alpha', 'images with transparency', 'Handled: it is dropped; what it hides, shows')
SIXTEEN_BIT = Rule('16-bit', 'images of 16 bits a channel', 'Handled: the upper 8 are kept')

IMAGE_RULES = (MISSING_IMAGE, BROKEN_IMAGE, OTHER_SIZE, OTHER_CHANNELS, CLIPPED_16_BIT,
               EXIF_TURNED, GRAYSCALE, PALETTE, CMYK, ALPHA, SIXTEEN_BIT)
EXIF_ORIENTATION = 0x0112
UNTURNED = (None, 0, 1)  # values of the tag that change nothing
MODES_16_BIT = ('I', 'I;16', 'I;16B', 'I;16L', 'I;16N')


class ImageRecord(NamedTuple):
    """An image as its annotation file tells of it.

    Attributes:
        image_id: its id there.
        img_path: path or URL.
        size: (height, width), pixels; None if it does not say.
    """

    image_id: int
    img_path: str
    size: tuple[float, float] | None


class Loader(NamedTuple):
    """Arguments of ``LoadImageFromFile`` in the pipeline of a dataset."""

    color_type: str = 'color'
    imdecode_backend: str = 'cv2'
    backend_args: dict | None = None


def audit_image(record: ImageRecord, loader: Loader) -> list[tuple[str, str]]:
    """Apply all rules to one image.

    Args:
        record: what the annotation file says.
        loader: how it is loaded.

    Returns:
        The name of each rule that applies, with the image in words.
    """
    name = f'image {record.image_id}: {record.img_path}'
    return [(rule.name, name + detail) for rule, detail in _apply(record, loader)]


def _apply(record: ImageRecord, loader: Loader) -> Iterator[tuple[Rule, str]]:
    try:
        content = read_bytes(record.img_path, loader.backend_args)
    except FileNotFoundError:
        yield MISSING_IMAGE, ''
        return
    except (OSError, ValueError) as error:  # no permission, a folder, no backend
        yield MISSING_IMAGE, f' ({error})'
        return
    try:
        image = decode(content, record.img_path, loader.color_type, loader.imdecode_backend)
    except ValueError:
        yield BROKEN_IMAGE, f' ({len(content)} bytes)'
        return
    try:
        header = Image.open(io.BytesIO(content))  # reads no pixels
        orientation = header.getexif().get(EXIF_ORIENTATION)
    except (OSError, Image.DecompressionBombError):  # a format, or a size, that Pillow refuses
        header = orientation = None
    is_turned = orientation not in UNTURNED
    exif = f', EXIF orientation {orientation}' if is_turned else ''
    if record.size is not None and image.shape[:2] != record.size:
        yield OTHER_SIZE, (f' ({image.shape[1]} x {image.shape[0]}, annotated as '
                           f'{record.size[1]} x {record.size[0]}{exif})')
    elif is_turned:
        yield EXIF_TURNED, f' (orientation {orientation})'
    if image.shape[2:] != (3,) or image.dtype != 'uint8':
        yield OTHER_CHANNELS, f' ({image.shape}, {image.dtype})'
    if header is not None:
        yield from ((rule, '') for rule in _rules_of_pixels(header, content, loader))


def _rules_of_pixels(header: Image.Image, content: bytes, loader: Loader) -> Iterator[Rule]:
    mode = header.mode
    if mode in ('1', 'L', 'LA', *MODES_16_BIT):
        yield GRAYSCALE
    if mode in ('P', 'PA'):
        yield PALETTE
    if mode == 'CMYK':
        yield CMYK
    if mode in ('LA', 'PA', 'RGBA', 'La', 'RGBa') or 'transparency' in header.info:
        yield ALPHA
    # Pillow says RGB of colours of 16 bits: the depth stands in the header of a PNG file.
    if mode in MODES_16_BIT or (header.format == 'PNG' and content[24] == 16):
        yield SIXTEEN_BIT
        if loader.imdecode_backend == 'pillow' and mode in MODES_16_BIT:
            yield CLIPPED_16_BIT
