import bacl  # noqa: F401
import numpy as np
from bacl.evaluation.functional.federated_labels import FederatedLabels
from bacl.evaluation.functional.ground_truth import GroundTruth
from hypothesis import given
from hypothesis import strategies as st

IMAGES, CATEGORIES = (-4, 10**12, 7), (8, 3, 10**10)
image_ids, category_ids = st.sampled_from(IMAGES), st.sampled_from(CATEGORIES)
pairs = st.lists(st.tuples(image_ids, category_ids), max_size=12)
# Lists may name categories that the file does not have, between and beyond those that it has.
id_lists = st.lists(st.sampled_from([*CATEGORIES, 0, 5, 10**11]), unique=True)
images = st.fixed_dictionaries({i: st.fixed_dictionaries({
    'neg_category_ids': id_lists, 'not_exhaustive_category_ids': id_lists}) for i in IMAGES})


@given(images, pairs, pairs)
def test_pairs_are_known_as_in_sets_of_pairs(images, annotated, asked):
    truth = GroundTruth.from_coco([{'image_id': i, 'category_id': c, 'bbox': [0] * 4, 'area': 1}
                                   for i, c in annotated], images, 'bbox')
    labels = FederatedLabels(images, CATEGORIES, truth)
    image_id, category_id = np.array(asked, dtype=np.int64).reshape(-1, 2).T
    assert labels.is_labelled(image_id, category_id).tolist() == \
        [(i, c) in annotated or c in images[i]['neg_category_ids'] for i, c in asked]
    assert labels.is_not_exhaustive(image_id, category_id).tolist() == \
        [c in images[i]['not_exhaustive_category_ids'] for i, c in asked]


def test_there_may_be_no_images():
    labels = FederatedLabels({}, [], GroundTruth.from_coco([], {}, 'bbox'))
    none = np.zeros(0, dtype=np.int64)
    assert labels.is_labelled(none, none).tolist() == []
