import bacl  # noqa: F401
import cv2
import numpy as np
import pytest
from bacl.datasets.images import check_image, is_cut_jpeg, loaded_size
from mmdet.structures import DetDataSample
from PIL import Image


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


# A decoder that takes what is missing for black, as OpenCV before 5, cannot tell.


@pytest.fixture(params=['baseline', 'progressive', 'with a preview'])
def jpeg(request, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    path = tmp_path / 'image.jpg'
    image = Image.fromarray(pixels)
    image.save(path)
    # In Exif data; a whole JPEG file inside the file.
    exif = b'Exif\x00\x00' + path.read_bytes() if request.param == 'with a preview' else b''
    image.save(path, progressive=request.param == 'progressive', exif=exif)
    return path.read_bytes()


def test_whole_jpeg_is_not_cut(jpeg):
    assert not is_cut_jpeg(jpeg)
    assert not is_cut_jpeg(jpeg + b'\xff\xda what cameras put behind the image')


def test_jpeg_is_cut_wherever_it_ends(jpeg):
    assert all(is_cut_jpeg(jpeg[:length]) for length in range(2, len(jpeg)))


def test_cut_jpeg_is_named_even_if_the_decoder_fills_it(jpeg, tmp_path, monkeypatch):
    monkeypatch.setattr('mmcv.imfrombytes', lambda *args, **kwargs: np.zeros((48, 64, 3), np.uint8))
    path = tmp_path / 'image.jpg'
    path.write_bytes(jpeg)
    check_image(str(path))
    path.write_bytes(jpeg[:-100])
    with pytest.raises(ValueError, match=f'{path} .* cannot be decoded'):
        check_image(str(path))


def test_markers_without_length_do_not_hide_the_end(jpeg):
    # Fill bytes and a marker for nothing before the second segment.
    for more in (b'\xff', b'\xff\xff', b'\xff\x01'):
        padded = jpeg[:2] + more + jpeg[2:]
        assert cv2.imdecode(np.frombuffer(padded, np.uint8), cv2.IMREAD_COLOR) is not None
        assert not is_cut_jpeg(padded)
        assert is_cut_jpeg(padded[:-2])


def test_other_formats_are_not_cut_jpegs():
    assert not is_cut_jpeg(b'') and not is_cut_jpeg(b'\x89PNG')


@pytest.mark.parametrize('sample, size', [
    (dict(ori_shape=(4, 5)), (4, 5)),
    (dict(data_samples=DetDataSample(metainfo=dict(ori_shape=(4, 5)))), (4, 5)),
    (dict(data_samples=[DetDataSample(metainfo=dict(ori_shape=(4, 5)))] * 2), (4, 5)),
    (dict(data_samples=DetDataSample()), None), (dict(img_path='a.jpg'), None), (None, None)])
def test_size_is_found_in_packed_and_other_samples(sample, size):
    assert loaded_size(sample) == size
