import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation.matching import EncodedMasks, Matching, matching


@pytest.mark.parametrize('with_masks', [False, True])
def test_what_is_read_gives_the_same_precision(make_matching, tmp_path, with_masks):
    made = make_matching(0, with_masks)
    made.save(tmp_path)
    found = Matching.load(tmp_path)
    assert isinstance(found.detections['region'], EncodedMasks) == with_masks
    assert found.max_dets == made.max_dets
    for category in np.flatnonzero(made.num_records()):
        np.testing.assert_array_equal(found.precision(category), made.precision(category))


def test_boxes_and_masks_of_the_same_pixels_agree(make_matching):
    boxes, masks = make_matching(1), make_matching(1, with_masks=True)
    total = 0
    for category in np.flatnonzero(boxes.num_records()):
        expected = boxes.precision(category)
        np.testing.assert_allclose(masks.precision(category), expected, rtol=0, atol=1e-12)
        total += np.nansum(expected)
    assert total > 0


def test_precision_is_bound_to_no_other_category(make_matching):
    made = make_matching(2)
    start, stop = made.object_offsets[2:4]
    first, last = made.detection_offsets[2:4]
    alone = Matching({name: column[start:stop] for name, column in made.objects.items()},
                     np.array([0, stop - start]),
                     {name: column[first:last] for name, column in made.detections.items()},
                     np.array([0, last - first]), made.max_dets)
    np.testing.assert_array_equal(alone.precision(0), made.precision(2))


def test_detections_without_objects_are_no_work(make_matching):
    assert make_matching(0).num_records().tolist() == [12, 0, 340, 1, 0, 52, 67, 26, 31]


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
    for category in np.flatnonzero(made.num_records()):
        made.precision(category)
    assert max(count for count, _ in highest) == made.num_records().max()
    # Nor more images than the category has objects and detections in.
    assert max(images for _, images in highest) <= 12
    assert alive == []
