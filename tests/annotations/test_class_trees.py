import numpy as np
import pytest
from bacl.annotations.class_trees import (
    box_statistics,
    geometric_tree,
    k_means_tree,
    lexical_tree,
    numbered,
    visual_tree,
)
from hypothesis import given
from hypothesis import strategies as st


def test_parents_are_numbered_by_their_first_class():
    assert numbered(['b', 'a', 'b', 'c']).tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize('seed', range(5))
def test_points_far_apart_are_clusters(seed):
    centers = np.random.default_rng(seed).permutation(4)[:, None] * [[100.0, -100.0]]
    points = centers[[0, 1, 2, 3, 3, 2, 0]] + np.random.default_rng(1).normal(size=(7, 2))
    assert k_means_tree(points, 4, seed).tolist() == [0, 1, 2, 3, 3, 2, 0]


@given(st.integers(1, 12), st.integers(1, 15), st.integers(0, 9))
def test_there_are_as_many_parents_as_are_wanted_and_possible(num_classes, num_parents, seed):
    points = np.random.default_rng(seed).integers(4, size=(num_classes, 2)) + 0.5
    tree = k_means_tree(points, num_parents, seed)
    assert sorted(set(tree)) == list(range(min(num_parents, len(np.unique(points, axis=0)))))
    same = (points[:, None] == points).all(2)
    if num_parents >= len(np.unique(points, axis=0)):
        assert ((tree[:, None] == tree) == same).all()


def test_classes_are_alike_by_the_direction_of_their_weights():
    weights = np.array([[1.0, 0], [100, 1], [0, 2], [0.01, 3]])
    assert visual_tree(weights, 2).tolist() == [0, 0, 1, 1]


DATA = dict(
    images=[dict(id=7, width=100, height=50)],
    categories=[dict(id=3, name='a'), dict(id=1, name='b'), dict(id=2, name='none')],
    annotations=[dict(image_id=7, category_id=3, bbox=[0, 0, 10, 5]),
                 dict(image_id=7, category_id=3, bbox=[9, 0, 40, 20]),
                 dict(image_id=7, category_id=1, bbox=[0, 0, 10, 50]),
                 dict(image_id=7, category_id=1, bbox=[0, 0, 0, 50])])


def test_box_statistics_by_hand():
    # Class a: shares of width and height .1 and .4, ratio 2 twice. Class b: .1, 1, ratio .2; the
    # box of no width is left out. Two values, standardised, are 1 and -1; equal ones are 0.
    statistics = box_statistics(DATA)
    assert statistics[0].tolist() == pytest.approx([1, -1, 1, 1, 1, 0])
    assert statistics[1].tolist() == pytest.approx([-1, 1, -1, -1, -1, 0])
    assert not statistics[2].any()
    assert geometric_tree(DATA, 2).shape == (3,)
    assert not box_statistics(dict(DATA, annotations=[])).any()


def test_names_with_the_same_words_are_alike():
    categories = [dict(id=i, name=name) for i, name in enumerate(
        ['red_apple', 'fire_truck', 'green_apple', 'garbage_truck', 'apple'])]
    assert lexical_tree(categories, 2).tolist() == [0, 1, 0, 1, 0]


def test_a_field_of_the_categories_is_a_tree():
    categories = [dict(id=i, name=str(i), supercategory=name)
                  for i, name in enumerate(['fruit', 'vehicle', 'fruit'])]
    assert lexical_tree(categories, 99, 'supercategory').tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match="'hypernym', which '0' lacks"):
        lexical_tree(categories, 2, 'hypernym')
