import bacl  # noqa: F401
import cv2
import numpy as np
import pytest
from bacl.datasets.images import check_image


@pytest.fixture(params=['.jpg', '.png'])
def image(request, tmp_path):
    path = tmp_path / f'image{request.param}'
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    return path


def test_readable_image_passes(image):
    check_image(str(image))


def test_missing_image_is_named(image):
    image.unlink()
    with pytest.raises(FileNotFoundError, match=f'{image} does not exist'):
        check_image(str(image))


@pytest.mark.parametrize('damage', [
    lambda content: b'',
    lambda content: b'not an image',
    lambda content: content[:len(content) // 2]], ids=['empty', 'text', 'truncated'])
def test_broken_image_is_named(image, damage):
    image.write_bytes(damage(image.read_bytes()))
    with pytest.raises(ValueError, match=f'{image} .* cannot be decoded'):
        check_image(str(image))
