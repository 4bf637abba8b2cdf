"""Box-counting dimension of object centres: how evenly a class lies over the images."""
from math import isqrt
from os import PathLike

import numpy as np

from .coco import coco_class_table, read_coco_annotations

MIN_OBJECTS = 4  # of which a dimension is computed; it takes two grids at least


def box_counting_dimension(centers: np.ndarray, labels: np.ndarray, num_classes: int,
                           max_grid: int | None = None) -> np.ndarray:
    """Box-counting dimension of the centres of each class.

    Grids of g x g cells lie over all images at once, g = 1, 2, ... as long as g^2 is not above the
    number of objects n. The dimension is the slope of the logarithm of the number of occupied cells
    against log g, by least squares: 2 for centres spread over the image, less for those on a line.
    It is 1 at least, and 1 for a class of fewer than four objects.

    Args:
        centers: (N, 2), x and y in shares of the width and height of the image; outside of [0, 1)
            they count as in the outermost cells.
        labels: (N,), int64 in [0, C).
        num_classes: C.
        max_grid: largest g; None leaves it to the number of objects.

    Returns:
        (C,), >= 1.

    Reference:
        Alexandridis et al., "Fractal Calibration for Long-tailed Object Detection", CVPR 2025.
    """
    dimension = np.ones(num_classes)
    order = np.argsort(labels, kind='stable')
    ends = np.cumsum(np.bincount(labels, minlength=num_classes))
    for label, points in enumerate(np.split(centers[order], ends[:-1])):
        if len(points) < MIN_OBJECTS:
            continue
        grids = np.arange(1, min(isqrt(len(points)), max_grid or len(points)) + 1)
        occupied = [num_occupied(points, grid) for grid in grids]
        slope = np.polyfit(np.log(grids), np.log(occupied), 1)[0]
        dimension[label] = max(slope, 1)
    return dimension


def num_occupied(points: np.ndarray, grid: int) -> int:
    """Number of cells of a ``grid`` x ``grid`` grid that have one of the points (N, 2)."""
    column, row = np.clip((points * grid).astype(np.int64), 0, grid - 1).T
    return len(np.unique(row * grid + column))


def read_location_statistics(ann_file: str | PathLike) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the training annotations that FRACAL needs, in COCO or LVIS format.

    Args:
        ann_file: path or URL of the file; of LVIS it is the one of the training images, because
            counts of another file tell of other images than it has.

    Returns:
        Share of the images with each class, one image at least, (C,); fractal dimension, (C,).
        Both in the order of the file's categories.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such file, or its counts say more images than it has.
    """
    data = read_coco_annotations(ann_file, ('height', 'width'), ('bbox',))
    table = coco_class_table(data, ann_file)
    if table.num_images < table.image_count.max(initial=1):
        raise ValueError(f'Annotation file {ann_file} has {table.num_images} images, but says that '
                         f'{table.image_count.max()} have one of its classes: it is a part of '
                         'another. Give FRACAL the file of all training images.')
    label_of = {category['id']: label for label, category in enumerate(data['categories'])}
    size_of = {image['id']: (image['width'], image['height']) for image in data['images']}
    boxes = np.array([a['bbox'] for a in data['annotations']], dtype=float).reshape(-1, 4)
    sizes = np.array([size_of[a['image_id']] for a in data['annotations']]).reshape(-1, 2)
    labels = np.array([label_of[a['category_id']] for a in data['annotations']], dtype=np.int64)
    return (table.image_count.clip(min=1) / table.num_images,
            box_counting_dimension((boxes[:, :2] + boxes[:, 2:] / 2) / sizes, labels,
                                   len(label_of)))
