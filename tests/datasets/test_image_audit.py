"""Real files of each kind: what the audit says, and that it says what the loader does."""
import bacl  # noqa: F401
import cv2
import numpy as np
import pytest
from bacl.datasets.image_audit import ImageRecord, Loader, audit_image
from mmdet.registry import TRANSFORMS
from PIL import Image

HEIGHT, WIDTH = 48, 64
RNG = np.random.default_rng(0)
PIXELS = cv2.resize(RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8), (WIDTH, HEIGHT))  # RGB
DEEP = PIXELS.astype(np.uint16) * 256 + 255


def rules(path, size=(HEIGHT, WIDTH), **loader) -> dict[str, str]:
    return dict(audit_image(ImageRecord(7, str(path), size), Loader(**loader)))


def load(path, **loader) -> np.ndarray:
    transform = TRANSFORMS.build(dict(type='LoadImageFromFile', **loader))
    return transform(dict(img_path=str(path)))['img']


def save(path, image: Image.Image, orientation: int | None = None, **kwargs):
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    image.save(path, exif=exif, **kwargs)
    return path


@pytest.mark.parametrize('name', ['a.jpg', 'a.png'])
def test_nothing_is_found_in_a_plain_image(tmp_path, name):
    assert rules(save(tmp_path / name, Image.fromarray(PIXELS))) == {}


def test_missing_image_is_refused_with_its_id(tmp_path):
    assert rules(tmp_path / 'a.jpg') == {'missing-image': f'image 7: {tmp_path}/a.jpg'}
    (tmp_path / 'folder.jpg').mkdir()
    assert rules(tmp_path / 'folder.jpg').keys() == {'missing-image'}


@pytest.mark.parametrize('name', ['a.jpg', 'a.png'])
@pytest.mark.parametrize('kept', [0, 30, 0.5, -2])
def test_truncated_image_is_refused(tmp_path, name, kept):
    path = save(tmp_path / name, Image.fromarray(PIXELS))
    content = path.read_bytes()
    path.write_bytes(content[:int(kept * len(content)) if isinstance(kept, float) else kept])
    assert rules(path).keys() == {'broken-image'}


def test_wrong_size_is_refused_with_both_sizes(tmp_path):
    path = save(tmp_path / 'a.jpg', Image.fromarray(PIXELS))
    assert '(64 x 48, annotated as 48 x 64)' in rules(path, (WIDTH, HEIGHT))['other-size']


@pytest.mark.parametrize('name', ['a.jpg', 'a.png'])
@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_image_that_exif_turns_must_have_the_annotated_size(tmp_path, name, backend, orientation):
    path = save(tmp_path / name, Image.fromarray(PIXELS), orientation)
    loaded = load(path, imdecode_backend=backend).shape[:2]
    assert loaded == ((WIDTH, HEIGHT) if orientation >= 5 else (HEIGHT, WIDTH))
    found = rules(path, loaded, imdecode_backend=backend)
    assert found.keys() == ({'exif-turned'} if orientation > 1 else set())
    if orientation >= 5:
        refused = rules(path, (HEIGHT, WIDTH), imdecode_backend=backend)
        assert refused.keys() == {'other-size'}
        assert refused['other-size'].endswith(
            f'(48 x 64, annotated as 64 x 48, EXIF orientation {orientation})')
        unturned = dict(color_type='color_ignore_orientation', imdecode_backend='cv2')
        assert 'other-size' not in rules(path, (HEIGHT, WIDTH), **unturned)


def bgr(image: Image.Image) -> np.ndarray:
    return np.array(image.convert('RGB'))[..., ::-1]


def write_deep(path, pixels):
    cv2.imwrite(str(path), pixels)
    return path


@pytest.mark.parametrize('mode, suffix, names', [
    ('L', 'jpg', {'grayscale'}), ('L', 'png', {'grayscale'}), ('1', 'png', {'grayscale'}),
    ('LA', 'png', {'grayscale', 'alpha'}), ('P', 'png', {'palette'}), ('RGBA', 'png', {'alpha'})])
def test_other_pixels_are_handled(tmp_path, mode, suffix, names):
    image = Image.fromarray(PIXELS).convert(mode)
    if 'A' in mode:
        image.putalpha(Image.fromarray(np.eye(HEIGHT, WIDTH, dtype=np.uint8) * 255))
    path = save(tmp_path / f'a.{suffix}', image)
    assert rules(path).keys() == names
    loaded = load(path)
    assert loaded.shape == (HEIGHT, WIDTH, 3) and loaded.dtype == np.uint8
    expected = Image.open(path)
    if 'A' in mode:
        expected.putalpha(255)  # what it hides, shows
    np.testing.assert_array_equal(loaded, bgr(expected))


def test_cmyk_is_handled(tmp_path):
    path = save(tmp_path / 'a.jpg', Image.fromarray(PIXELS).convert('CMYK'), quality=95)
    assert rules(path).keys() == {'cmyk'}
    difference = np.abs(load(path).astype(int) - PIXELS[..., ::-1])
    assert difference.mean() < 8


@pytest.mark.parametrize('pixels, names', [
    (DEEP, {'16-bit'}), (DEEP[..., 0], {'16-bit', 'grayscale'}),
    (np.dstack([DEEP, DEEP[..., 0]]), {'16-bit', 'alpha'})])
def test_the_upper_8_of_16_bits_are_kept(tmp_path, pixels, names):
    path = write_deep(tmp_path / 'a.png', pixels)
    assert rules(path).keys() == names
    expected = PIXELS if pixels.ndim == 3 else PIXELS[..., :1].repeat(3, axis=2)
    np.testing.assert_array_equal(load(path), expected)


def test_gray_of_16_bits_is_refused_with_pillow(tmp_path):
    path = write_deep(tmp_path / 'a.png', DEEP[..., 0])
    assert (load(path, imdecode_backend='pillow') == 255).mean() > 0.9  # why
    assert 'clipped-16-bit' in rules(path, imdecode_backend='pillow')
    assert 'clipped-16-bit' not in rules(write_deep(tmp_path / 'b.png', DEEP),
                                         imdecode_backend='pillow')


@pytest.mark.parametrize('color_type', ['grayscale', 'unchanged'])
def test_images_that_are_not_loaded_as_bgr_are_refused(tmp_path, color_type):
    path = save(tmp_path / 'a.png', Image.fromarray(PIXELS).convert('RGBA'))
    assert 'other-channels' in rules(path, color_type=color_type)


def test_format_that_pillow_does_not_know_is_left_to_the_loader(tmp_path):
    path = tmp_path / 'a.exr'
    path.write_bytes(cv2.imencode('.hdr', PIXELS.astype(np.float32) / 255)[1].tobytes())
    assert rules(path).keys() <= {'other-channels'}
