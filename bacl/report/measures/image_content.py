"""Numbers of objects and of classes in an image."""
import numpy as np

from .class_balance import classes_in_images


def objects_per_image(image: np.ndarray, num_images: int) -> np.ndarray:
    """Number of objects of each image.

    Args:
        image: (M,), int64 in [0, I), of each object.
        num_images: I.

    Returns:
        (I,), int64.
    """
    return np.bincount(image, minlength=num_images)


def classes_per_image(image: np.ndarray, label: np.ndarray, num_images: int,
                      num_classes: int) -> np.ndarray:
    """Number of different classes of each image.

    Args:
        image: (M,), int64 in [0, I), of each object.
        label: (M,), int64 in [0, C), of each object.
        num_images: I.
        num_classes: C.

    Returns:
        (I,), int64.
    """
    images, _ = classes_in_images(image, label, num_classes)
    return np.bincount(images, minlength=num_images)
