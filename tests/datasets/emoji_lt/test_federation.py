import copy
from collections import Counter

import pytest
from bacl.datasets.emoji_lt.federation import federate
from bacl.evaluation import evaluate_lvis

LABELS = ('neg_category_ids', 'not_exhaustive_category_ids')


@pytest.fixture(scope='module')
def exhaustive():
    """Of 200 images and 50 categories each image shows six and lists the others."""
    images, annotations = [], []
    for image_id in range(1, 201):
        present = {(7 * image_id + 8 * k) % 50 + 1 for k in range(6)}
        images.append(dict(id=image_id, neg_category_ids=sorted(set(range(1, 51)) - present),
                           not_exhaustive_category_ids=[]))
        annotations += [dict(image_id=image_id, category_id=i) for i in present]
    return dict(images=images, annotations=annotations,
                categories=[dict(id=i) for i in range(1, 51)])


def test_every_category_is_known_to_be_absent_in_as_many_images(exhaustive):
    images = federate(exhaustive, 0)['images']
    counts = Counter(i for image in images for i in image['neg_category_ids'])
    assert set(counts.values()) == {40} and len(counts) == 50  # 10 of 50 categories an image
    numbers = {len(image['neg_category_ids']) for image in images}
    assert len(numbers) > 5  # images differ, as in LVIS
    for image, before in zip(images, exhaustive['images'], strict=True):
        assert set(image['neg_category_ids']) <= set(before['neg_category_ids'])


def test_some_present_categories_are_not_exhaustive(exhaustive):
    images = federate(exhaustive, 0)['images']
    partly = {(image['id'], i) for image in images for i in image['not_exhaustive_category_ids']}
    assert partly <= {(a['image_id'], a['category_id']) for a in exhaustive['annotations']}
    assert 0.2 < len(partly) / len(images) < 0.4  # as in LVIS


def test_labels_depend_on_the_seed_and_nothing_else_changes(exhaustive):
    before = copy.deepcopy(exhaustive)
    one, same, other = (federate(exhaustive, seed) for seed in (0, 0, 1))
    assert one == same != other
    assert exhaustive == before

    def without_labels(data):
        return dict(data, images=[{field: value for field, value in image.items()
                                   if field not in LABELS} for image in data['images']])
    assert without_labels(one) == without_labels(exhaustive)


def test_the_two_files_of_a_build_are_evaluated_together(smoke, smoke_val):
    # Everything twice: right, and as the category with the next id.
    ids = [category['id'] for category in smoke_val['categories']]
    records = [dict(image_id=a['image_id'], bbox=a['bbox'], score=score, category_id=category_id)
               for a in smoke_val['annotations']
               for score, category_id in ((0.5, a['category_id']),
                                          (0.9, a['category_id'] % len(ids) + 1))]
    result = evaluate_lvis(smoke.ann_file('val'), records,
                           exhaustive_ann_file=smoke.ann_file('val_exhaustive'))
    assert result['exhaustive_AP'] < result['AP'] < 1  # most confusions are not known to be wrong
