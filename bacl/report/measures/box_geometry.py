"""Size and shape of boxes, and the level of a feature pyramid that they are assigned to."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Of mmdet's SingleRoIExtractor, and of the usual Faster R-CNN with an FPN.
FINEST_SCALE = 56
ROI_STRIDES = (4, 8, 16, 32)


def resize_factors(image_sizes: np.ndarray, scale: Sequence[int] | None) -> np.ndarray:
    """Factors by which mmdet's ``Resize(scale=, keep_ratio=True)`` stretches images.

    The image gets as large as possible with its longer side at most ``max(scale)`` and its shorter
    at most ``min(scale)``, rounded to whole pixels, which makes the two factors differ a little.

    Args:
        image_sizes: (I, 2), width and height in pixels, > 0.
        scale: two numbers of pixels, such as (1333, 800); None leaves the images as they are.

    Returns:
        (I, 2), of width and height.

    Raises:
        ValueError: if the scale is not two positive numbers.
    """
    if scale is None:
        return np.ones(image_sizes.shape)
    if len(scale) != 2 or min(scale) <= 0:
        raise ValueError('resize_factors(scale=) expects two numbers of pixels > 0, such as '
                         f'(1333, 800), got {scale}.')
    factor = np.minimum(max(scale) / image_sizes.max(1), min(scale) / image_sizes.min(1))
    return np.floor(image_sizes * factor[:, None] + 0.5) / image_sizes


def box_sides(box: np.ndarray) -> np.ndarray:
    """Side of the square of the same area, ``sqrt(w h)``.

    Args:
        box: (M, 4), x, y, width and height; a negative side counts as 0.

    Returns:
        (M,), in pixels.
    """
    return np.sqrt(box[:, 2].clip(0) * box[:, 3].clip(0))


def aspect_ratios(box: np.ndarray) -> np.ndarray:
    """Width over height.

    Args:
        box: (M, 4), x, y, width and height.

    Returns:
        (M,), > 0; NaN for a box without area.
    """
    has_area = (box[:, 2:] > 0).all(1)
    return np.divide(box[:, 2], box[:, 3], out=np.full(len(box), np.nan), where=has_area)


def pyramid_levels(side: np.ndarray, num_levels: int = len(ROI_STRIDES),
                   finest_scale: float = FINEST_SCALE) -> np.ndarray:
    """Level from which mmdet's ``SingleRoIExtractor`` takes the features of a box.

    ``floor(log2(sqrt(w h) / finest_scale + 1e-6))``, clipped to [0, num_levels - 1]: every level
    has boxes of up to twice the side of the one below.

    Args:
        side: (M,), ``sqrt(w h)`` in pixels of the resized image, >= 0.
        num_levels: number of levels, > 0.
        finest_scale: half of the smallest side that leaves level 0, in pixels.

    Returns:
        (M,), int64, 0 for the finest.

    Reference:
        Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017, Eq. (1).
    """
    level = np.floor(np.log2(side / finest_scale + 1e-6))
    return level.clip(0, num_levels - 1).astype(np.int64)


@dataclass(frozen=True)
class Pyramid:
    """The sizes and levels at which a detector with a feature pyramid sees objects.

    Args:
        scale: to which images are resized in training; see :func:`resize_factors`.
        strides: of the levels that the RoI extractor takes features from, in pixels.
        finest_scale: see :func:`pyramid_levels`.

    Raises:
        ValueError: if there is no level, or a number is not positive.
    """

    scale: tuple[int, int] | None = (1333, 800)
    strides: tuple[int, ...] = ROI_STRIDES
    finest_scale: float = FINEST_SCALE

    def __post_init__(self) -> None:
        if not self.strides or min(self.strides) <= 0:
            raise ValueError('Pyramid(strides=) expects at least one stride > 0, got '
                             f'{self.strides}.')
        if self.finest_scale <= 0:
            raise ValueError('Pyramid(finest_scale=) expects a number of pixels > 0, got '
                             f'{self.finest_scale}.')

    def sides(self, box: np.ndarray, image: np.ndarray, image_sizes: np.ndarray) -> np.ndarray:
        """Sides of boxes in the resized images; see :func:`box_sides`.

        Args:
            box: (M, 4), x, y, width and height in pixels of the original images.
            image: (M,), int64 in [0, I), of each object.
            image_sizes: (I, 2), width and height in pixels.

        Returns:
            (M,), in pixels of the resized images.
        """
        factors = resize_factors(image_sizes, self.scale)
        return box_sides(box) * np.sqrt(factors.prod(1))[image]

    def levels(self, side: np.ndarray) -> np.ndarray:
        """Level of boxes; see :func:`pyramid_levels`.

        Args:
            side: (M,), what :meth:`sides` returns.

        Returns:
            (M,), int64 in [0, number of strides).
        """
        return pyramid_levels(side, len(self.strides), self.finest_scale)

    @property
    def borders(self) -> np.ndarray:
        """Sides at which the next level begins, one fewer than levels, in pixels."""
        return self.finest_scale * 2.0**np.arange(1, len(self.strides))
