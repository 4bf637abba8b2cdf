"""The places of objects in their images."""
import numpy as np


def relative_centres(box: np.ndarray, image_sizes: np.ndarray) -> np.ndarray:
    """Centres of boxes as shares of width and height of their images.

    Args:
        box: (M, 4), x, y, width and height in pixels.
        image_sizes: (M, 2), width and height of each object's image in pixels.

    Returns:
        (M, 2), from the left and from the top; in [0, 1] if the centre is inside the image.
    """
    return (box[:, :2] + box[:, 2:] / 2) / image_sizes


def centre_map(box: np.ndarray, image_sizes: np.ndarray, num_cells: int = 24) -> np.ndarray:
    """Number of objects whose centre lies in each cell of a grid over the image.

    A centre outside of the image counts in the nearest cell.

    Args:
        box: (M, 4), x, y, width and height in pixels.
        image_sizes: (M, 2), width and height of each object's image in pixels.
        num_cells: G, rows and columns of the grid.

    Returns:
        (G, G), int64, rows from the top; its sum is M.
    """
    cell = (relative_centres(box, image_sizes) * num_cells).astype(np.int64)
    column, row = cell.clip(0, num_cells - 1).T
    counts = np.bincount(row * num_cells + column, minlength=num_cells**2)
    return counts.reshape(num_cells, num_cells)


def coverage_map(box: np.ndarray, image_sizes: np.ndarray, num_cells: int = 24) -> np.ndarray:
    """Share of the objects whose box covers the middle of each cell of a grid over the image.

    Args:
        box: (M, 4), x, y, width and height in pixels.
        image_sizes: (M, 2), width and height of each object's image in pixels.
        num_cells: G, rows and columns of the grid.

    Returns:
        (G, G), in [0, 1], rows from the top; NaN without objects.
    """
    # The middle of cell i lies at (i + 0.5) / G; a box covers the cells [first, last).
    first = np.ceil(box[:, :2] / image_sizes * num_cells - 0.5)
    last = np.ceil((box[:, :2] + box[:, 2:].clip(0)) / image_sizes * num_cells - 0.5)
    (left, top), (right, bottom) = (edge.clip(0, num_cells).astype(np.int64).T
                                    for edge in (first, last))
    # Four corners a box: their sums from the top left are 1 inside of it and 0 outside.
    width = num_cells + 1
    corners = np.zeros(width * width)
    for rows, columns, sign in ((top, left, 1), (top, right, -1), (bottom, left, -1),
                                (bottom, right, 1)):
        corners += sign * np.bincount(rows * width + columns, minlength=width * width)
    counts = corners.reshape(width, width).cumsum(0).cumsum(1)[:-1, :-1]
    return counts / len(box) if len(box) else np.full(counts.shape, np.nan)


def central_share(box: np.ndarray, image_sizes: np.ndarray) -> float:
    """Share of the objects whose centre lies in the middle ninth of the image.

    In [0, 1]; 1/9 if all places are equally likely. NaN without objects.

    Args:
        box: (M, 4), x, y, width and height in pixels.
        image_sizes: (M, 2), width and height of each object's image in pixels.
    """
    if not len(box):
        return float('nan')
    centres = relative_centres(box, image_sizes)
    return float(((centres >= 1 / 3) & (centres < 2 / 3)).all(1).mean())
