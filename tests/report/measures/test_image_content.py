import bacl  # noqa: F401
import numpy as np
from bacl.report.measures.image_content import classes_per_image, objects_per_image


def test_hand_made_case():
    image, label = np.array([0, 0, 0, 2]), np.array([1, 1, 3, 0])
    assert objects_per_image(image, 4).tolist() == [3, 0, 1, 0]
    assert classes_per_image(image, label, 4, 5).tolist() == [2, 0, 1, 0]


def test_without_objects():
    nothing = np.array([], dtype=np.int64)
    assert objects_per_image(nothing, 2).tolist() == [0, 0]
    assert classes_per_image(nothing, nothing, 2, 3).tolist() == [0, 0]
