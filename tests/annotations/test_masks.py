from array import array

import numpy as np
import pytest
from bacl.annotations.masks import mask_faults

SQUARE = [0.0, 0.0, 4.0, 0.0, 4.0, 4.0]


@pytest.mark.parametrize('polygons, fault', [
    ([SQUARE], None), ([SQUARE, SQUARE], None), ([], 'no polygon'), ([SQUARE[:4]], 'of 4 numbers'),
    ([SQUARE, SQUARE[:5]], 'of 5 numbers'), ([[*SQUARE[:5], np.nan]], 'than finite numbers'),
    ([[*SQUARE[:5], np.inf]], 'than finite numbers')])
def test_packed_polygons_are_judged_as_lists_are(polygons, fault):
    packed = [array('d', polygon) for polygon in polygons]
    for masks in ([polygons], [packed], [[SQUARE], packed], [[array('d', SQUARE)], polygons]):
        faults = mask_faults(masks, np.full((len(masks), 2), 9))
        assert list(faults) == ([len(masks) - 1] if fault else [])
        assert fault is None or fault in faults[len(masks) - 1]
