import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation.matching import EncodedMasks
from bacl.evaluation.metrics.predictions import Predictions
from hypothesis import given, settings
from hypothesis import strategies as st


def one_image(image_id, count, with_masks=True):
    """Objects whose every number tells image and place."""
    number = image_id * 10 + np.arange(count)
    masks = EncodedMasks.from_rles([{'size': [5, 5], 'counts': b'x' * int(n % 4)} for n in number])
    return Predictions(
        np.array([image_id]), np.array([count]), np.stack([number] * 4, axis=1).astype(np.float32),
        (number / 100).astype(np.float32), number.astype(np.int32),
        *((number / 50, masks) if with_masks else ()))


def as_lists(predictions):
    """Per image its id and its objects, by plain slicing."""
    images, start = [], 0
    for image_id, count in zip(predictions.image_id.tolist(), predictions.num_objects.tolist(),
                               strict=True):
        rows = slice(start, start + count)
        images.append((image_id, *(getattr(predictions, name)[rows].tolist()
                                   for name in ('bboxes', 'scores', 'labels'))))
        if predictions.masks is not None:
            images[-1] += (predictions.mask_scores[rows].tolist(),
                           list(predictions.masks)[rows])
        start += count
    assert start == len(predictions.scores)
    return images


counts = st.lists(st.integers(0, 4), max_size=6)


@given(counts, st.booleans(), st.data())
def test_images_are_selected_like_the_entries_of_a_list(counts, with_masks, data):
    parts = [one_image(image_id, count, with_masks) for image_id, count in enumerate(counts)]
    whole = Predictions.concatenate(parts, 'Metric')
    expected = [image for part in parts for image in as_lists(part)]
    assert as_lists(whole) == expected
    places = st.integers(0, len(counts) - 1)
    index = data.draw(st.lists(places, max_size=9)) if counts else []
    assert as_lists(whole[np.array(index, dtype=int)]) == [expected[i] for i in index]
    size = data.draw(st.integers(0, 7))
    assert as_lists(whole.first(size)) == expected[:size]


@settings(max_examples=20)  # each writes a file
@given(counts, st.booleans())
def test_what_is_read_is_what_was_written(tmp_path_factory, counts, with_masks):
    parts = [one_image(image_id, count, with_masks) for image_id, count in enumerate(counts)]
    whole = Predictions.concatenate(parts, 'Metric')
    path = tmp_path_factory.mktemp('predictions') / 'rank_0.npz'
    whole.save(path)
    found = Predictions.load(path)
    assert as_lists(found) == as_lists(whole)
    assert found.bboxes.dtype == whole.bboxes.dtype
    assert (found.mask_scores is None) == (whole.mask_scores is None)


def test_python_objects_are_not_unpickled(tmp_path):
    path = tmp_path / 'rank_0.npz'
    np.savez(path, image_id=np.array([{}, []], dtype=object))
    with pytest.raises(ValueError, match='allow_pickle'):
        Predictions.load(path)


def test_parts_without_images_do_not_count():
    none = Predictions.concatenate([], 'Metric')
    whole = Predictions.concatenate([none, one_image(3, 2, False), none], 'Metric')
    assert as_lists(whole) == as_lists(one_image(3, 2, False))
    assert whole.bboxes.dtype == np.float32


def test_parts_with_other_fields_are_refused():
    with pytest.raises(ValueError, match=r"Metric expects .* same fields, got .*'masks'.* and "):
        Predictions.concatenate([one_image(1, 1), one_image(2, 1, with_masks=False)], 'Metric')


def test_corners_become_sides_in_double_precision():
    corners = np.array([[0.1, 0.2, 100.3, 200.4]], dtype=np.float32)
    predictions = Predictions(np.array([1]), np.array([1]), corners, np.ones(1), np.ones(1, int))
    x1, y1, x2, y2 = corners[0].tolist()
    assert predictions.boxes_xywh().tolist() == [[x1, y1, x2 - x1, y2 - y1]]
    assert predictions.bboxes[0, 2] == np.float32(100.3)


@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), max_size=5), max_size=8),
       st.integers(1, 3), st.integers(1, 4), st.data())
def test_dropping_the_beaten_leaves_what_counts_in_the_end(images, per_image, per_class, data):
    # Of each image objects of a label and a score. Some come twice, as samplers repeat them.
    ids = data.draw(st.lists(st.integers(0, max(len(images) - 1, 0)), max_size=9)) if images else []
    parts = []
    for image_id in ids:
        labels, scores = np.array(images[image_id], dtype=np.int32).reshape(-1, 2).T
        # A box tells the object, whatever its label and score.
        number = image_id * 10. + np.arange(len(labels))
        parts.append(Predictions(np.array([image_id]), np.array([len(labels)]),
                                 np.stack([number] * 4, axis=1), scores / 10, labels))
    whole = Predictions.concatenate(parts, 'Metric')
    held = Predictions.concatenate([], 'Metric')
    for part in parts:
        held = Predictions.concatenate([held, part], 'Metric').without_beaten(per_image, per_class)
    assert held.image_id.tolist() == whole.image_id.tolist()

    def counted(predictions):
        """The objects that count, by plain sorting; of an image the first occurrence."""
        seen, objects = set(), []
        for image_id, boxes, scores, labels in as_lists(predictions):
            if image_id not in seen:
                objects += [(image_id, label, score, box[0]) for box, score, label in zip(
                    boxes, scores, labels, strict=True)]
            seen.add(image_id)
        result = set()
        for column, number in ((0, per_image), (1, per_class)):
            for key in {entry[column] for entry in objects}:
                of_key = [entry for entry in objects if entry[column] == key]
                result |= set(sorted(of_key, key=lambda entry: -entry[2])[:number])
        return result, len(objects)

    expected, num_held = counted(whole)[0], counted(held)[1]
    assert counted(held)[0] == expected
    assert num_held <= len(set(ids)) * per_image + 3 * per_class
