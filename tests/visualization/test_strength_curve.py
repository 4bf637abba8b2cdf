import math

import cv2
import numpy as np
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.visualization.strength_curve import draw_strength_curve


def test_each_group_with_objects_has_its_line_in_its_colour(tmp_path):
    ap = dict(AP=[0.2, 0.3], APr=[0.1, 0.4], APc=[math.nan] * 2, APf=[0.5, 0.3])
    draw_strength_curve(tmp_path / 'a.png', 'gamma', [1, 0], ap, LVIS_GROUPS, 0,
                        {key: values[1] for key, values in ap.items()})
    picture = cv2.imread(str(tmp_path / 'a.png'))[:, :560, ::-1].astype(int)
    shown = [(np.abs(picture - colour).sum(axis=2) < 12).sum() > 100 for colour in (
        (0xD5, 0x5E, 0x00), (0x00, 0x72, 0xB2), (0x00, 0x9E, 0x73))]
    assert shown == [True, False, True]
    # Of the values 0 and 1, in their order: the line of the rare classes falls.
    rows, columns = np.nonzero(np.abs(picture - (0xD5, 0x5E, 0x00)).sum(axis=2) < 12)
    line = columns > columns.min() + 5
    left, right = (rows[line][columns[line] < 200].min(), rows[line][columns[line] > 450].max())
    assert left < right
