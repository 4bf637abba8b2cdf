import numpy as np
import pytest
from bacl.ops import affinity_propagation


def similarity(points):
    return -((points[:, None] - points[None]) ** 2).sum(axis=2)


def same_group(groups):
    return groups[:, None] == groups[None]


@pytest.mark.golden('fasa.npz')
def test_equals_scikit_learns_groups_of_official_features(golden):
    groups = affinity_propagation(-golden['dyn_distance'].numpy())
    expected = golden['sklearn_groups_on_neg_distance'].numpy()
    assert (same_group(groups) == same_group(expected)).all()


@pytest.mark.parametrize('num', [2, 3, 10, 60])
def test_equals_scikit_learns_groups(num):
    cluster = pytest.importorskip('sklearn.cluster')
    for seed in range(5):
        points = np.random.default_rng(seed).normal(size=(num, 3))
        expected = cluster.AffinityPropagation(affinity='precomputed', random_state=0).fit(
            similarity(points)).labels_
        groups = affinity_propagation(similarity(points))
        assert (same_group(groups) == same_group(expected)).mean() > 0.95


def test_far_clusters_are_the_groups():
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), 12)
    points = 50.0 * truth[:, None] + rng.normal(size=(48, 2))
    groups = affinity_propagation(similarity(points))
    assert (same_group(groups) == same_group(truth)).all()
    assert sorted(set(groups.tolist())) == [0, 1, 2, 3]


@pytest.mark.parametrize('points', [np.zeros((0, 2)), np.zeros((1, 2)), np.zeros((5, 2)),
                                    np.array([[0., 0.], [1., 1.]])], ids=len)
def test_few_or_equal_points_have_some_groups(points):
    groups = affinity_propagation(similarity(points))
    assert groups.shape == (len(points), ) and groups.dtype == np.int64
    assert set(groups.tolist()) == set(range(len(set(groups.tolist()))))
