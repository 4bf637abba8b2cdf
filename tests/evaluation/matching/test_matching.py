import bacl  # noqa: F401
import numpy as np
from bacl.evaluation.matching import Matching, matching


def test_boxes_and_masks_of_the_same_pixels_agree(make_matching):
    boxes, masks = make_matching(1).precision(), make_matching(1, with_masks=True).precision()
    np.testing.assert_allclose(masks, boxes, rtol=0, atol=1e-12)
    assert np.nansum(boxes) > 0


def test_precision_is_bound_to_no_other_category(make_matching):
    made = make_matching(2)
    start, stop = made.object_offsets[2:4]
    first, last = made.detection_offsets[2:4]
    alone = Matching({name: column[start:stop] for name, column in made.objects.items()},
                     np.array([0, stop - start]),
                     {name: column[first:last] for name, column in made.detections.items()},
                     np.array([0, last - first]), made.max_dets)
    np.testing.assert_array_equal(alone.precision()[:, :, 0], made.precision()[:, :, 2])


def test_categories_without_objects_have_no_precision(make_matching):
    made = make_matching(0)
    precision = made.precision()
    assert np.isnan(precision[:, :, [1, 4]]).all()
    assert not np.isnan(precision[:, :, [0, 2, 3, 5, 6, 7, 8], 0]).any()
    empty = Matching({name: column[:0] for name, column in made.objects.items()},
                     np.zeros(10, dtype=int), made.detections, made.detection_offsets, 100)
    assert np.isnan(empty.precision()).all()


def test_engine_holds_the_objects_of_one_category_at_a_time(make_matching, monkeypatch):
    made, alive, highest = make_matching(3), [], []

    class CountingCOCO(matching.COCO):
        """Counts the records and images of all of its kind that are alive."""

        def __init__(self, data, **kwargs):
            super().__init__(data, **kwargs)
            self.number = len(data['annotations'])
            alive.append(self.number)
            highest.append((sum(alive), len(data['images'])))

        def __del__(self):
            alive.remove(self.number)

    monkeypatch.setattr(matching, 'COCO', CountingCOCO)
    made.precision()
    records = np.diff(made.object_offsets) + np.diff(made.detection_offsets)
    assert max(count for count, _ in highest) == records.max()
    # Nor more images than the category has objects and detections in.
    assert max(images for _, images in highest) <= 12
    assert alive == []
