import math

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.report.measures.location import (
    central_share,
    centre_map,
    coverage_map,
    relative_centres,
)
from hypothesis import given
from hypothesis import strategies as st

COORDINATE = st.integers(-5, 30)
BOXES = st.lists(st.tuples(COORDINATE, COORDINATE, COORDINATE, COORDINATE), min_size=1,
                 max_size=8)
WIDTH, HEIGHT, GRID = 20, 10, 4


def test_hand_made_case():
    box = np.array([[0, 0, 2, 2.], [10, 5, 10, 5]])
    sizes = np.array([[20, 10]] * 2)
    assert relative_centres(box, sizes).tolist() == [[.05, .1], [.75, .75]]
    assert centre_map(box, sizes, 2).tolist() == [[1, 0], [0, 1]]
    # The middles of the four cells are (5, 2.5), (15, 2.5), (5, 7.5), (15, 7.5).
    assert coverage_map(box, sizes, 2).tolist() == [[0, 0], [0, .5]]
    assert central_share(np.array([[8, 4, 4, 2.], [0, 0, 2, 2]]), sizes) == 0.5


@given(BOXES)
def test_maps_agree_with_a_loop_over_cells(boxes):
    box = np.array(boxes, dtype=float)
    sizes = np.array([[WIDTH, HEIGHT]] * len(box))
    centres, covered = (np.zeros((GRID, GRID)) for _ in range(2))
    for x, y, w, h in box:
        column, row = ((x + w / 2) * GRID // WIDTH, (y + h / 2) * GRID // HEIGHT)
        # As a centre outside the image may lie anywhere, truncation towards 0 is harmless.
        centres[int(min(max(row, 0), GRID - 1)), int(min(max(column, 0), GRID - 1))] += 1
        for i in range(GRID):
            for j in range(GRID):
                middle_x, middle_y = (j + .5) * WIDTH / GRID, (i + .5) * HEIGHT / GRID
                covered[i, j] += x <= middle_x < x + w and y <= middle_y < y + h
    assert centre_map(box, sizes, GRID).tolist() == centres.tolist()
    assert coverage_map(box, sizes, GRID) == pytest.approx(covered / len(box))


def test_without_objects_there_is_no_share():
    nothing, sizes = np.zeros((0, 4)), np.zeros((0, 2))
    assert centre_map(nothing, sizes, 3).sum() == 0
    assert np.isnan(coverage_map(nothing, sizes, 3)).all()
    assert math.isnan(central_share(nothing, sizes))
