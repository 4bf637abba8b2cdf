from collections import Counter

import pytest
from bacl.engine.calibration.held_out import hold_out
from hypothesis import given
from hypothesis import strategies as st

FREQUENCIES = 'rcf'


def data(classes_of_images, lvis=True, **image_fields):
    """Content of a file; each image has the listed classes once."""
    return dict(
        images=[dict(id=i, **image_fields) for i in range(len(classes_of_images))],
        annotations=[dict(id=1, image_id=i, category_id=c)
                     for i, classes in enumerate(classes_of_images) for c in classes],
        categories=[dict(id=c, name=str(c), image_count=9, instance_count=9,
                         **(dict(frequency=FREQUENCIES[c]) if lvis else {})) for c in range(3)])


@given(st.lists(st.sets(st.integers(0, 2)), min_size=1, max_size=60), st.floats(0.01, 1),
       st.integers(0, 5), st.integers(1, 5))
def test_every_class_has_its_share_and_its_minimum_where_there_are_as_many(images, share, seed,
                                                                           min_images):
    content = data(images)
    chosen = hold_out(content, share, seed, min_images)
    assert chosen == sorted(set(chosen)) and set(chosen) <= set(range(len(images)))
    assert chosen == hold_out(content, share, seed, min_images)
    assert len(chosen) >= round(share * len(images))
    held, total = (Counter(label for i in ids for label in images[i])
                   for ids in (chosen, range(len(images))))
    for label, number in total.items():
        assert held[label] >= min(number, max(min_images, round(share * number)))


def test_the_seed_chooses_and_a_share_of_nothing_is_refused():
    content = data([{0}, {1}, {2}] * 30)
    assert hold_out(content, 0.2, 0) != hold_out(content, 0.2, 1)
    for share in (0, -1, 1.5, float('nan')):
        with pytest.raises(ValueError, match='share='):
            hold_out(content, share)
