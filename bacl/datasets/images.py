"""Whether an image can be read, and if not, which one and why."""
import cv2
import mmcv
from mmengine.fileio import exists, get


def check_image(img_path: str, backend_args: dict | None = None) -> None:
    """Decode an image, as ``LoadImageFromFile`` would; the error names the file.

    Args:
        img_path: path or URL of the image.
        backend_args: of mmengine's file backend; None finds the backend by the path.

    Raises:
        FileNotFoundError: if the image does not exist.
        ValueError: if its bytes are not an image, or not a whole one.
    """
    if not exists(img_path, backend_args=backend_args):
        raise FileNotFoundError(f'Image {img_path} does not exist. Check data_root and data_prefix '
                                'of the dataset.')
    content = get(img_path, backend_args=backend_args)
    try:
        # OpenCV returns None for broken bytes, but raises for none at all.
        image = mmcv.imfrombytes(content)
    except cv2.error:
        image = None
    if image is None:
        raise ValueError(f'Image {img_path} ({len(content)} bytes) cannot be decoded. '
                         'Download or build it again.')
