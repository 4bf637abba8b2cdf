from collections import Counter

import pytest
from bacl.annotations.splitting import part_of, split_images, training_part
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


@given(st.lists(st.sets(st.integers(0, 2)), min_size=1, max_size=60), st.floats(0.01, 0.5),
       st.integers(0, 5))
def test_every_class_stays_on_the_first_side_and_is_on_both_where_it_can(images, share, seed):
    content = data(images)
    sides = split_images(content, share, seed)
    assert sides == split_images(content, share, seed)
    assert sorted(sides[0] + sides[1]) == list(range(len(images)))
    total = Counter(label for labels in images for label in labels)
    counts = [Counter(label for i in ids for label in images[i]) for ids in sides]
    assert set(counts[0]) == set(total)
    for label in total:
        if total[label] > 1 and not counts[1][label]:  # each of its images is the last of a class
            assert all(any(counts[0][other] == 1 for other in labels)
                       for labels in images if label in labels)


def test_rare_classes_give_one_of_two_images_and_frequent_ones_their_share():
    content = data([{0}, {0}, {1}] + [{2}] * 100)
    first, second = split_images(content, 0.1)
    assert len(second) == 11 and len({0, 1} & set(second)) == 1 and 2 in first


def test_an_image_that_is_the_last_of_a_class_is_not_taken_from_training():
    for seed in range(5):  # class 1 has one image, which is the half of class 0
        first, second = split_images(data([{0, 1}, {0}]), 0.5, seed)
        assert (first, second) == ([0], [1])


@pytest.mark.parametrize('share', [0, 1, -1, float('nan')])
def test_a_share_of_nothing_or_of_all_is_refused(share):
    with pytest.raises(ValueError, match='share='):
        split_images(data([{0}]), share)


def test_the_training_part_has_its_own_counts_and_the_old_groups():
    content = data([{0}, {0, 1}, {0, 1}])
    content['annotations'].append(dict(id=9, image_id=0, category_id=0))
    part = training_part(content, [0, 1])
    assert [(c['image_count'], c['instance_count'], c['frequency'])
            for c in part['categories']] == [(2, 3, 'r'), (1, 1, 'c'), (0, 0, 'f')]
    assert content['categories'][0]['image_count'] == 9


def test_images_without_federated_fields_are_taken_as_fully_labelled():
    part = part_of(data([{0}, {1, 2}, {2}]), [1, 2])
    assert [image['neg_category_ids'] for image in part['images']] == [[0], [0, 1]]
    assert all(image['not_exhaustive_category_ids'] == [] for image in part['images'])
    assert [a['image_id'] for a in part['annotations']] == [1, 1, 2]
    assert part['categories'][0]['image_count'] == 9  # of training, by the rules of LVIS
    said = data([{0}, {1}], neg_category_ids=[2], not_exhaustive_category_ids=[1])
    assert part_of(said, [1])['images'] == said['images'][1:]


def test_counts_of_the_whole_are_no_counts_of_a_part_in_coco_format():
    part = part_of(data([{0}, {1}], lvis=False), [0])
    assert part['categories'] == [dict(id=c, name=str(c)) for c in range(3)]
    assert part['images'] == [dict(id=0)]
